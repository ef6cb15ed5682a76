//! Samples of every fact, and `given(..).when(..).then(..)`.
