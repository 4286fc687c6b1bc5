//! Many lists of numbers one after the other in one: a list of lists would be an allocation each, and of small histories
//! those would be most of the work.

/// Lists by number. All are filled up to their lengths before one is looked at.
#[derive(Clone, Debug, Default)]
pub(super) struct Lists {
    /// Where each list ends; while they are filled, where its next item goes.
    ends: Vec<u32>,
    items: Vec<u32>,
}

impl Lists {
    /// Room for lists of these lengths.
    pub(super) fn with_lengths(mut lengths: Vec<u32>) -> Self {
        let mut sum = 0;
        for length in &mut lengths {
            sum += std::mem::replace(length, sum);
        }
        Lists { ends: lengths, items: vec![0; sum as usize] }
    }

    /// Appends to one of the lists.
    pub(super) fn push(&mut self, list: u32, item: u32) {
        let end = &mut self.ends[list as usize];
        self.items[*end as usize] = item;
        *end += 1;
    }

    /// One of the lists.
    pub(super) fn of(&self, list: u32) -> &[u32] {
        let from = list.checked_sub(1).map_or(0, |before| self.ends[before as usize]);
        &self.items[from as usize..self.ends[list as usize] as usize]
    }

    /// Bytes on the heap.
    pub(super) fn bytes(&self) -> usize {
        (self.ends.len() + self.items.len()) * size_of::<u32>()
    }
}

#[cfg(test)]
mod tests {
    use super::Lists;

    #[test]
    fn each_list_has_its_own_items_in_order() {
        let mut lists = Lists::with_lengths(vec![2, 0, 1]);
        for (list, item) in [(2, 7), (0, 5), (0, 6)] {
            lists.push(list, item);
        }
        assert_eq!([lists.of(0), lists.of(1), lists.of(2)], [&[5, 6][..], &[], &[7]]);
    }
}
