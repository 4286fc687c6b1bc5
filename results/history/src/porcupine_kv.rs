//! Histories of a store of strings as Porcupine's tests have them: one map a line, with a `:key`.
//!
//! ```clojure
//! {:process 0, :type :invoke, :f :append, :key "4", :value "x 0 1 y"}
//! {:process 0, :type :ok, :f :append, :key "4", :value "x 0 1 y"}
//! ```
//!
//! `:get` reads, `:put` writes, `:append` appends; a key that nobody put reads as `""`. There are no times: the order in
//! the file is all there is. Otherwise these are [`crate::jepsen`]'s operations, and its reader reads them.

use std::io::BufRead;

use crate::jepsen::{self, Keys};
use crate::jsonl::{ReadError, Recorded};

/// Reads a history. Linear in its size.
///
/// # Errors
/// As [`jepsen::read_edn`].
pub fn read(input: impl BufRead) -> Result<Recorded, ReadError> {
    jepsen::read_edn(input, Keys::One)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Call, Value};

    #[test]
    fn keys_come_from_their_own_field() {
        let text = "{:process 1, :type :invoke, :f :put, :key \"a\", :value \"x\"}\n\
                    {:process 2, :type :invoke, :f :get, :key \"b\", :value nil}\n\
                    {:process 2, :type :ok, :f :get, :key \"b\", :value \"\"}\n";
        let operations = read(text.as_bytes()).unwrap().history.rows().to_vec();
        assert_eq!(operations[0].call, Call::Write { key: "a".into(), value: "x".into() });
        assert_eq!(operations[1].call, Call::Read { key: "b".into() });
        assert_eq!(operations[1].read(), Some(&Value::text("")));
    }
}
