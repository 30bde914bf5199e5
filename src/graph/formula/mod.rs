mod ast;
mod error;
mod lexer;
mod parser;
mod print;
pub use error::FormulaError;
#[cfg(test)]
mod tests;
