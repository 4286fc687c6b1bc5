//! What holds of any bytes given to a reader: it refuses them with a place, or what it read is a history, which comes back as
//! it was from the binary form, and as much of it in parts.

use std::io::Cursor;

use schism_history::apart::{Ways, apart};
use schism_history::{Format, Keys, ReadError, binary, read_any};

/// Reads these bytes in both ways of naming keys.
pub fn read(format: Format, bytes: &[u8]) {
    let lines = bytes.iter().filter(|byte| **byte == b'\n').count() + 1;
    for keys in [Keys::One, Keys::Tuple] {
        let read = read_any(bytes, format, keys);
        if !bytes.starts_with(&binary::MAGIC[..7]) && format != Format::Binary {
            assert_eq!(in_parts(bytes, format, keys).ok(), read.as_ref().ok().map(|read| read.history.len()));
        }
        match read {
            Ok(recorded) => {
                let history = recorded.history;
                for operation in history.operations() {
                    assert!(operation.invoked <= operation.completed && operation.invoke < operation.complete);
                }
                let mut file = Vec::new();
                binary::write(&mut file, &history).expect("memory can be written");
                let again = read_any(file.as_slice(), Format::Auto, Keys::One).expect("what was just written can be read");
                assert_eq!(again.history, history);
            }
            Err(ReadError::Binary { offset, .. }) => assert!(offset <= bytes.len() as u64),
            Err(
                ReadError::Line { line, .. } | ReadError::Io { line, .. } | ReadError::Contradiction { line, .. },
            ) => assert!((1..=lines).contains(&line)),
        }
    }
}

/// How many operations there are in all parts of a text.
fn in_parts(bytes: &[u8], format: Format, keys: Keys) -> Result<usize, ReadError> {
    let ways = Ways { parts: 3, buffer: 64, salt: 0 };
    let mut operations = 0;
    let mut file = || Ok(Cursor::new(Vec::new()));
    let taken = apart(bytes, (format, keys), ways, &mut file)?;
    taken.each(u64::MAX, ways, &mut file, &mut |part| operations += part.history.len())?;
    Ok(operations)
}

/// The same for the binary form, once its checksum was made right: else hardly anything would get beyond it.
pub fn read_sealed(bytes: &[u8]) {
    let mut bytes = bytes.to_vec();
    if bytes.len() >= 16 {
        let checksum = crc32fast::hash(&bytes[16..]);
        bytes[12..16].copy_from_slice(&checksum.to_le_bytes());
    }
    read(Format::Binary, &bytes);
}
