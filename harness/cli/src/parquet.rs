//! A history as a table in Parquet, for DuckDB, pandas and whatever else reads it: one row an operation, in the order of
//! invocation.
//!
//! The columns are those of [`Row`], after an `index` that numbers the operations from zero. Keys, values and answers are
//! JSON, times nanoseconds since the run began, and what has no value is null. Faults, phases and notes have no place in it.

use std::io::{self, Write};
use std::sync::Arc;

use parquet::basic::Compression;
use parquet::data_type::{ByteArray, ByteArrayType, DataType, Int64Type};
use parquet::errors::{ParquetError, Result};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;
use schism_history::History;
use schism_history::export::{Row, rows};

/// The columns, in the order of [`write_group`].
const SCHEMA: &str = "message history {
    required int64 index;
    required int64 process;
    optional binary node (string);
    required binary f (string);
    required binary key (string);
    optional binary value (string);
    required binary type (string);
    optional binary answer (string);
    optional binary error (string);
    required int64 invoked;
    optional int64 ended;
    required int64 invoke;
    optional int64 complete;
}";

/// So many operations are held as rows at once.
const GROUP: usize = 1 << 16;

/// Writes the operations of a history.
///
/// # Errors
/// When `out` does.
pub fn write(out: impl Write + Send, history: &History) -> io::Result<()> {
    write_all(out, history).map_err(|error| match error {
        ParquetError::External(error) => match error.downcast::<io::Error>() {
            Ok(error) => *error,
            Err(error) => io::Error::other(error),
        },
        other => io::Error::other(other),
    })
}

fn write_all(out: impl Write + Send, history: &History) -> Result<()> {
    let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
    let schema = parse_message_type(SCHEMA).expect("it is written above");
    let mut file = SerializedFileWriter::new(out, Arc::new(schema), Arc::new(properties))?;
    let mut rows = rows(history);
    let mut first = 0;
    loop {
        let group: Vec<Row> = rows.by_ref().take(GROUP).collect::<io::Result<_>>()?;
        if group.is_empty() {
            break;
        }
        let mut columns = file.next_row_group()?;
        write_group(&mut columns, first, &group)?;
        columns.close()?;
        first += group.len() as i64;
    }
    file.close()?;
    Ok(())
}

fn write_group<W: Write + Send>(
    columns: &mut SerializedRowGroupWriter<'_, W>,
    first: i64,
    rows: &[Row],
) -> Result<()> {
    let text = |text: &str| ByteArray::from(text.as_bytes().to_vec());
    let time = |time: u64| i64::try_from(time).unwrap_or(i64::MAX);
    column::<Int64Type, _>(columns, (first..).take(rows.len()).map(Some))?;
    column::<Int64Type, _>(columns, rows.iter().map(|row| Some(row.process.into())))?;
    column::<ByteArrayType, _>(columns, rows.iter().map(|row| row.node.as_deref().map(text)))?;
    column::<ByteArrayType, _>(columns, rows.iter().map(|row| Some(text(row.f))))?;
    column::<ByteArrayType, _>(columns, rows.iter().map(|row| Some(text(&row.key))))?;
    column::<ByteArrayType, _>(columns, rows.iter().map(|row| row.value.as_deref().map(text)))?;
    column::<ByteArrayType, _>(columns, rows.iter().map(|row| Some(text(row.kind))))?;
    column::<ByteArrayType, _>(columns, rows.iter().map(|row| row.answer.as_deref().map(text)))?;
    column::<ByteArrayType, _>(columns, rows.iter().map(|row| row.error.as_deref().map(text)))?;
    column::<Int64Type, _>(columns, rows.iter().map(|row| Some(time(row.invoked))))?;
    column::<Int64Type, _>(columns, rows.iter().map(|row| row.ended.map(time)))?;
    column::<Int64Type, _>(columns, rows.iter().map(|row| Some(row.invoke.into())))?;
    column::<Int64Type, _>(columns, rows.iter().map(|row| row.complete.map(i64::from)))
}

/// Writes the next column: what there is, and for each row whether there is anything.
fn column<T: DataType, W: Write + Send>(
    columns: &mut SerializedRowGroupWriter<'_, W>,
    values: impl Iterator<Item = Option<T::T>>,
) -> Result<()> {
    let mut column = columns.next_column()?.expect("the schema has as many columns as there are calls");
    let (mut there, mut levels) = (Vec::new(), Vec::new());
    for value in values {
        levels.push(i16::from(value.is_some()));
        there.extend(value);
    }
    // Of a column that is required, all values are there, and nobody looks at the levels.
    column.typed::<T>().write_batch(&there, Some(&levels), None)?;
    column.close()
}

#[cfg(test)]
mod tests {
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::Field;
    use schism_history::jsonl;

    use super::*;

    const LINES: &str = r#"{"index":0,"time":5,"type":"invoke","process":0,"node":"n1","f":"write","key":"k","value":7}
{"index":1,"time":5,"type":"invoke","process":1,"f":"read","key":"k"}
{"index":2,"time":6,"type":"info","process":0,"f":"write","key":"k","value":7,"error":"no answer"}
{"index":3,"time":8,"type":"ok","process":1,"f":"read","key":"k","value":[7,"é",null]}
{"index":4,"time":9,"type":"invoke","process":2,"f":"cas","key":1,"value":[1,2]}
"#;

    #[test]
    fn each_operation_is_a_row_that_says_what_the_history_says() {
        let history = jsonl::read(LINES.as_bytes()).unwrap().history;
        let rows = read_back(&history);
        let names: Vec<&str> = rows[0].iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names[0], "index");
        assert_eq!(names[1..], Row::NAMES);
        let rows: Vec<Vec<String>> =
            rows.iter().map(|row| row.iter().map(|(_, field)| shown(field)).collect()).collect();
        let open = "the history ends before its completion";
        assert_eq!(
            rows,
            [
                ["0", "0", "n1", "write", "\"k\"", "7", "info", "-", "no answer", "5", "6", "0", "-"],
                ["1", "1", "-", "read", "\"k\"", "-", "ok", "[7,\"é\",null]", "-", "5", "8", "1", "3"],
                ["2", "2", "-", "cas", "1", "[1,2]", "info", "-", open, "9", "-", "4", "-"],
            ]
        );
    }

    /// The rows of its table: the names and fields of each.
    fn read_back(history: &History) -> Vec<Vec<(String, Field)>> {
        let file = tempfile::tempfile().unwrap();
        write(&file, history).unwrap();
        let reader = SerializedFileReader::new(file).unwrap();
        reader.get_row_iter(None).unwrap().map(|row| row.unwrap().into_columns()).collect()
    }

    fn shown(field: &Field) -> String {
        match field {
            Field::Null => "-".into(),
            Field::Long(number) => number.to_string(),
            Field::Str(text) => text.clone(),
            other => panic!("{other:?} is of no type in the schema"),
        }
    }

    #[test]
    fn more_rows_than_are_held_at_once_and_none_at_all() {
        use std::fmt::Write as _;
        let mut lines = String::new();
        for at in 0..GROUP + 3 {
            writeln!(
                lines,
                r#"{{"index":{at},"time":{at},"type":"invoke","process":{at},"f":"read","key":1}}"#
            )
            .unwrap();
        }
        for (text, count) in [(lines.as_str(), GROUP + 3), ("", 0)] {
            let history = jsonl::read(text.as_bytes()).unwrap().history;
            let rows = read_back(&history);
            assert_eq!(rows.len(), count);
            let numbers = rows.iter().map(|row| row[0].1.clone());
            assert!(numbers.eq((0..count as i64).map(Field::Long)));
        }
    }
}
