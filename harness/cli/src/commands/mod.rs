//! One file a command.

pub mod check;
pub mod clean;
pub mod compare;
pub mod demo;
pub mod doctor;
pub mod export;
pub mod images;
pub mod list;
pub mod node;
pub mod run;
pub mod shrink;
