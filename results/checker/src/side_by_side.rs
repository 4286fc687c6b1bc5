//! Objects judged side by side.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Applies `judge` to each item, the ones with most operations begun first, on the threads of the current pool, each with
/// something of its own to work with; answers in the order of the items.
pub(crate) fn side_by_side<T: Send, R: Send, W: Default>(
    items: Vec<T>,
    size: impl Fn(&T) -> usize,
    judge: impl Fn(T, &mut W) -> R + Sync,
) -> Vec<R> {
    let mut order: Vec<usize> = (0..items.len()).collect();
    order.sort_by_key(|index| std::cmp::Reverse(size(&items[*index])));
    let slots: Vec<Mutex<(Option<T>, Option<R>)>> =
        items.into_iter().map(|item| Mutex::new((Some(item), None))).collect();
    let next = AtomicUsize::new(0);
    let work = || {
        let mut own = W::default();
        while let Some(index) = order.get(next.fetch_add(1, Ordering::Relaxed)) {
            let mut slot = slots[*index].lock().expect("a judge does not panic");
            let item = slot.0.take().expect("each index is given out once");
            slot.1 = Some(judge(item, &mut own));
        }
    };
    rayon::scope(|scope| {
        for _ in 0..rayon::current_num_threads().min(order.len()) {
            scope.spawn(|_| work());
        }
    });
    slots.into_iter().filter_map(|slot| slot.into_inner().expect("a judge does not panic").1).collect()
}
