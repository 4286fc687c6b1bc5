#!/usr/bin/env bash
# The rung of netem for real, where the machine's own kernel has none: boots Debian's cloud kernel in a small virtual machine
# (QEMU, emulated: neither KVM nor root is needed) whose whole disk is busybox and the sandbox test, and runs there the case
# that makes links slow, late and lossy by traffic control. About two minutes; not part of `cargo test`.
#
#   apt-get install qemu-system-x86
#   harness/engine/tests/netem.sh
set -euo pipefail
cd "$(dirname "$0")/../../.."
case='by traffic control a narrow link passes what it can'
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; chmod 755 "$work"

program=$(cargo test --quiet --workspace --test sandbox --no-run --message-format=json |
  sed -n 's/.*"executable":"\([^"]*sandbox-[^"]*\)".*/\1/p' | tail -n 1)

(
  cd "$work"
  kernel=$(apt-cache depends linux-image-cloud-amd64 | awk '/Depends:/ { print $2; exit }')
  apt-get download -qq "$kernel" busybox-static
  for package in *.deb; do dpkg -x "$package" packages; done
)
version=$(basename "$work"/packages/lib/modules/*)
disk=$work/disk modules=$work/packages/lib/modules/$version
mkdir -p "$disk"/{bin,proc,sys,dev,run,tmp,etc,root,lib/modules/"$version"/kernel}
cp "$work/packages/bin/busybox" "$disk/bin/busybox"
cp "$program" "$disk/bin/sandbox"
# What it is linked with, in the same places.
ldd "$program" | grep -o '/[^ ]*' | while read -r library; do
  mkdir -p "$disk$(dirname "$library")"; cp -L "$library" "$disk$library"
done
for part in net lib crypto arch/x86/crypto drivers/net/veth.ko drivers/net/ifb.ko; do
  [ -e "$modules/kernel/$part" ] || continue
  mkdir -p "$disk/lib/modules/$version/kernel/$(dirname "$part")"
  cp -r "$modules/kernel/$part" "$disk/lib/modules/$version/kernel/$part"
done
cp "$modules"/modules.{order,builtin,builtin.modinfo} "$disk/lib/modules/$version/"
"$work/packages/bin/busybox" depmod -b "$disk" "$version"

# A node gets names of its own in place of this.
echo '127.0.0.1 localhost' >"$disk/etc/hosts"; echo 'hosts: files' >"$disk/etc/nsswitch.conf"

cat >"$disk/init" <<INIT
#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev; mount -t tmpfs tmp /tmp
ip link set lo up
for module in nf_tables veth ifb sch_htb sch_tbf sch_netem cls_u32 act_mirred; do modprobe \$module; done
echo "kernel \$(uname -r)"
mkdir /tmp/folder
SCHISM_TEST_FOLDER=/tmp/folder sandbox case '$case' && echo 'ok in the virtual machine'
poweroff -f
INIT
chmod 755 "$disk/init"
(cd "$disk" && find . | "$work/packages/bin/busybox" cpio -o -H newc 2>/dev/null | gzip -1) >"$work/initramfs"

timeout 600 qemu-system-x86_64 -accel tcg -cpu max -m 1024 -smp 1 -nographic -no-reboot -nodefaults -serial stdio \
  -kernel "$work"/packages/boot/vmlinuz-* -initrd "$work/initramfs" -append 'console=ttyS0 quiet panic=-1' |
  tee "$work/said"
grep -q 'and netem' "$work/said" && grep -q 'ok in the virtual machine' "$work/said"
