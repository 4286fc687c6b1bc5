//! What readers are told of judged runs: golden screens of a terminal, `verdict.json` read back, and pages that stay
//! whole, small and harmless.
//!
//! Golden text is rewritten by `SCHISM_REWRITE=1 cargo test -p schism-report`; review the difference before keeping it.

mod compare;
mod page;
mod situations;
mod summary;
mod terminal;

/// Holds a text against the golden one of this name.
#[track_caller]
pub(crate) fn golden(name: &str, text: &str) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/report/golden").join(name);
    if std::env::var_os("SCHISM_REWRITE").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        expected == text,
        "{name} differs; if that is meant, run again with SCHISM_REWRITE=1 and review\n{text}"
    );
}
