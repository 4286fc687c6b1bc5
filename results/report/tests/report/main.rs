//! What readers are told of judged runs: golden screens of a terminal, `verdict.json` read back, and pages that stay
//! whole, small and harmless.
//!
//! Golden text is rewritten by `SCHISM_REWRITE=1 cargo test -p schism-report`; review the difference before keeping it.

mod compare;
mod page;
mod situations;
mod summary;
mod terminal;
