/** Says the time of day again and again, as a Java virtual machine has it. */
class Tell {
    public static void main(String[] arguments) throws InterruptedException {
        while (true) {
            System.out.println("tells " + System.currentTimeMillis());
            Thread.sleep(10);
        }
    }
}
