//! One column of a history: numbers in memory of its own, or where they lie in a file that is mapped.
//!
//! Without `unsafe`: what lies in a file is looked at anew through the map each time, which takes a few nanoseconds. Whoever
//! goes through a column takes its slice first.

use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut, Range};
use std::sync::{Arc, OnceLock};

use bytemuck::Pod;

use crate::value::Value;

/// The bytes of a file, shared by all columns that lie in it.
pub type Shared = Arc<dyn AsRef<[u8]> + Send + Sync>;

/// Numbers, one an operation.
#[derive(Clone)]
pub(crate) enum Column<T> {
    /// In memory of its own.
    Own(Vec<T>),
    /// Somewhere in a file, at a multiple of their size.
    In(Shared, Range<usize>, PhantomData<T>),
}

impl<T: Pod> Column<T> {
    /// The numbers at these bytes; copied if they lie at no multiple of their size.
    ///
    /// # Panics
    /// If the file has no such bytes, or they are no whole numbers.
    pub(crate) fn at(file: &Shared, place: Range<usize>) -> Self {
        let bytes = &(**file).as_ref()[place.clone()];
        match bytemuck::try_cast_slice::<u8, T>(bytes) {
            Ok(_) => Column::In(file.clone(), place, PhantomData),
            Err(_) => {
                let mut numbers = vec![T::zeroed(); bytes.len() / size_of::<T>()];
                bytemuck::cast_slice_mut(&mut numbers).copy_from_slice(bytes);
                Column::Own(numbers)
            }
        }
    }

    /// The numbers, to be changed: copied out of the file if they lie in one.
    pub(crate) fn own(&mut self) -> &mut Vec<T> {
        if let Column::In(..) = self {
            *self = Column::Own(self.to_vec());
        }
        match self {
            Column::Own(numbers) => numbers,
            Column::In(..) => unreachable!("it was copied"),
        }
    }

    #[inline]
    pub(crate) fn push(&mut self, number: T) {
        self.own().push(number);
    }
}

impl<T> Default for Column<T> {
    fn default() -> Self {
        Column::Own(Vec::new())
    }
}

impl<T: Pod> Deref for Column<T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        match self {
            Column::Own(numbers) => numbers,
            Column::In(file, place, _) => bytemuck::cast_slice(&(**file).as_ref()[place.clone()]),
        }
    }
}

impl<T: Pod> DerefMut for Column<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [T] {
        self.own()
    }
}

impl<T: Pod + fmt::Debug> fmt::Debug for Column<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// The values of a history. Where they are integers that lie in a file, they are made when somebody first asks for one of
/// them: judges that only compare numbers never do.
#[derive(Clone, Debug)]
pub(crate) enum List {
    /// As they are.
    Made(Vec<Value>),
    /// Integers, perhaps after the nil before all.
    Integers {
        /// Whether the first one is nil, and its word nothing.
        nil: bool,
        words: Column<u64>,
        made: OnceLock<Vec<Value>>,
    },
}

impl List {
    /// How many there are. Makes none.
    pub(crate) fn len(&self) -> usize {
        match self {
            List::Made(values) => values.len(),
            List::Integers { words, .. } => words.len(),
        }
    }

    /// Whether nil comes before all others, if there are any.
    pub(crate) fn begins_with_nil(&self) -> bool {
        match self {
            List::Made(values) => values.first().is_none_or(|first| *first == Value::Nil),
            List::Integers { nil, words, .. } => *nil || words.is_empty(),
        }
    }

    /// The first place of an integer, how many there are, and nothing; of a list that was made, of any value.
    pub(crate) fn integers(&self) -> [u32; 3] {
        let first = u32::from(matches!(self, List::Integers { nil: true, .. }));
        [first, u32::try_from(self.len()).unwrap_or(u32::MAX) - first, 0]
    }

    /// The values, to be added to.
    pub(crate) fn own(&mut self) -> &mut Vec<Value> {
        if let List::Integers { .. } = self {
            *self = List::Made(self.to_vec());
        }
        match self {
            List::Made(values) => values,
            List::Integers { .. } => unreachable!("they were made"),
        }
    }

    /// The place of a value. Looks at each; makes none.
    pub(crate) fn place_of(&self, value: &Value) -> Option<usize> {
        match (self, value) {
            (List::Made(values), value) => values.iter().position(|known| known == value),
            (List::Integers { nil, .. }, Value::Nil) => nil.then_some(0),
            (List::Integers { nil, words, .. }, Value::Int(int)) => {
                let first = usize::from(*nil);
                let found = words[first..].iter().position(|word| word.cast_signed() == *int);
                found.map(|place| place + first)
            }
            (List::Integers { .. }, _) => None,
        }
    }
}

impl Default for List {
    fn default() -> Self {
        List::Made(Vec::new())
    }
}

impl Deref for List {
    type Target = [Value];

    fn deref(&self) -> &[Value] {
        match self {
            List::Made(values) => values,
            List::Integers { nil, words, made } => made.get_or_init(|| {
                let mut values: Vec<Value> =
                    words.iter().map(|word| Value::Int(word.cast_signed())).collect();
                if let Some(first) = values.first_mut().filter(|_| *nil) {
                    *first = Value::Nil;
                }
                values
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Eight bytes at a multiple of eight, four of filler, then numbers.
    fn file() -> Shared {
        let mut words = vec![7u64, 8];
        words.extend([u64::from(u32::MAX), 1 << 33]);
        Arc::new(bytemuck::cast_slice::<u64, u8>(&words).to_vec())
    }

    #[test]
    fn numbers_in_a_file_are_read_where_they_lie_and_copied_to_be_changed() {
        let file = file();
        let mut column: Column<u64> = Column::at(&file, 8..32);
        let is_askew = !(*file).as_ref().as_ptr().addr().is_multiple_of(8);
        assert!(matches!(column, Column::In(..)) || is_askew);
        assert_eq!(*column, [8, u64::from(u32::MAX), 1 << 33]);
        let before = column.clone();
        column.push(5);
        column[0] = 1;
        assert_eq!(
            (&*column, &*before),
            (&[1, u64::from(u32::MAX), 1 << 33, 5][..], &[8, u64::from(u32::MAX), 1 << 33][..])
        );
        let askew: Column<u32> = Column::at(&file, 1..9);
        assert!(matches!(askew, Column::Own(_)) && askew.len() == 2);
    }

    #[test]
    fn integers_are_found_without_being_made() {
        let words = Column::at(&file(), 0..32);
        let list = List::Integers { nil: true, words, made: OnceLock::new() };
        let places = [Value::Nil, 8.into(), (1 << 33).into(), 7.into(), Value::Bool(true)]
            .map(|value| list.place_of(&value));
        assert_eq!(places, [Some(0), Some(1), Some(3), None, None]);
        assert!(matches!(&list, List::Integers { made, .. } if made.get().is_none()) && list.len() == 4);
        assert_eq!(list[..2], [Value::Nil, 8.into()]);
        let mut made = list.clone();
        made.own().push(Value::Bool(true));
        assert_eq!(
            (made.len(), made.place_of(&Value::Bool(true)), made.place_of(&8.into())),
            (5, Some(4), Some(1))
        );
    }
}
