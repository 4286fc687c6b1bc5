//! Operations sorted into parts by the high bits of their numbers, so that what is noted by number within a part stays near
//! the processor: where numbers come in no order, each would cost a way to memory otherwise.

use super::Columns;

/// The bits by which the numbers of one part differ.
const BITS: u32 = 13;

/// Kind and number, begin and end of an operation.
type Row = (u32, u32, u32, u32);

/// The operations, part by part, each in the order of invocation.
pub(super) struct Parts {
    /// What the operation is (its number within the part below its kind), where it begins and where it ends.
    rows: Vec<[u32; 3]>,
    /// Where each part ends.
    ends: Vec<u32>,
}

impl Parts {
    /// So many numbers a part has at most.
    pub(super) const NUMBERS: usize = 1 << BITS;

    pub(super) fn of(columns: &Columns) -> Self {
        let mut ends = vec![0; columns.numbers().div_ceil(Parts::NUMBERS)];
        for (_, number, _, _) in columns.iter() {
            ends[(number >> BITS) as usize] += 1;
        }
        let mut begin = 0;
        for end in &mut ends {
            begin += std::mem::replace(end, begin);
        }
        let mut rows = vec![[0; 3]; columns.len()];
        for (kind, number, invoke, complete) in columns.iter() {
            let end = &mut ends[(number >> BITS) as usize];
            rows[*end as usize] = [kind << BITS | number & (Parts::NUMBERS as u32 - 1), invoke, complete];
            *end += 1;
        }
        Parts { rows, ends }
    }

    /// The operations of each part.
    pub(super) fn each(&self) -> impl Iterator<Item = impl Iterator<Item = Row> + Clone> {
        let begins = [0].into_iter().chain(self.ends.iter().copied());
        begins.zip(&self.ends).map(|(begin, end)| {
            self.rows[begin as usize..*end as usize].iter().map(|[what, invoke, complete]| {
                (what >> BITS, what & (Parts::NUMBERS as u32 - 1), *invoke, *complete)
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nothing is lost, and each part has its own, in their order.
    #[test]
    fn has_every_operation_once() {
        for most in [1, Parts::NUMBERS, Parts::NUMBERS + 1, 70_000] {
            let mut columns = Columns::default();
            for at in 0..20_000 {
                let complete = (at % 7 > 0).then_some(2 * at + 1);
                columns.push(at % 6, at.wrapping_mul(2_654_435_761) % most as u32, 2 * at, complete);
            }
            let parts = Parts::of(&columns);
            let mut rows: Vec<Row> = Vec::new();
            for (at, part) in parts.each().enumerate() {
                let part: Vec<Row> = part.collect();
                assert!(part.is_sorted_by_key(|row| row.2));
                rows.extend(part.iter().map(|row| (row.0, row.1 + ((at as u32) << BITS), row.2, row.3)));
            }
            rows.sort_unstable_by_key(|row| row.2);
            assert!(rows.into_iter().eq(columns.iter()), "{most} numbers");
        }
    }
}
