//! What holds of any bytes given to a reader: it refuses them with a place, or what it read is a history, which comes back as
//! it was from the binary form.

use schism_history::{Format, Keys, ReadError, binary, read_any};

/// Reads these bytes in both ways of naming keys.
pub fn read(format: Format, bytes: &[u8]) {
    let lines = bytes.iter().filter(|byte| **byte == b'\n').count() + 1;
    for keys in [Keys::One, Keys::Tuple] {
        match read_any(bytes, format, keys) {
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

/// The same for the binary form, once its checksum was made right: else hardly anything would get beyond it.
pub fn read_sealed(bytes: &[u8]) {
    let mut bytes = bytes.to_vec();
    if bytes.len() >= 16 {
        let checksum = crc32fast::hash(&bytes[16..]);
        bytes[12..16].copy_from_slice(&checksum.to_le_bytes());
    }
    read(Format::Binary, &bytes);
}
