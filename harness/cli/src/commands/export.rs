//! `schism export`: a recorded history in another form, for other tools or for reading it again faster.

use std::fs::File;
use std::io::{BufWriter, Write};

use schism_history::format::Format;
use schism_history::jepsen::Keys;
use schism_history::{binary, export};

use crate::args::{self, ExportForm};
use crate::failure::{Exit, Failure};
use crate::{input, parquet};

/// Writes a history in another form, to a file that was not there before or to the standard output.
pub fn run(args: &args::Export) -> Result<Exit, Failure> {
    let file = &args.file;
    let path = if file.is_dir() { file.join("history.jsonl") } else { file.clone() };
    let keys = if args.independent { Keys::Tuple } else { Keys::One };
    let recorded = input::recorded(&path, Format::Auto, keys, "nothing was exported")?;
    if let Some(line) = recorded.cut {
        eprintln!(
            "{}: line {line}: the file is cut off here; what stands before is exported",
            path.display()
        );
    }
    let history = &recorded.history;
    let write = |out: &mut (dyn Write + Send)| {
        let mut out = BufWriter::with_capacity(1 << 18, out);
        match args.to {
            ExportForm::Binary => binary::write(&mut out, history)?,
            ExportForm::Jsonl => export::jsonl(&mut out, history)?,
            ExportForm::Edn => export::edn(&mut out, history)?,
            ExportForm::Csv => export::csv(&mut out, history)?,
            ExportForm::Parquet => parquet::write(&mut out, history)?,
        }
        out.flush()
    };
    match &args.out {
        Some(to) => {
            let mut file = File::create_new(to).map_err(|error| Failure::file(to, &error))?;
            write(&mut file).map_err(|error| Failure::file(to, &error))?;
            eprintln!("{} operations in {}", history.len(), to.display());
        }
        None => write(&mut std::io::stdout()).map_err(|error| {
            Failure::harness(format!("the standard output: {error}"), "--out FILE writes to a file")
        })?,
    }
    input::as_it_was_read(&path, history, "what was exported is worth nothing")?;
    Ok(Exit::Valid)
}
