//! The program: the command line of [`proof_concierge::cli`], and where its memory comes from.

use std::process::ExitCode;

/// A command makes a few hundred small allocations and large futures; with the C library's allocator they were a fifth of
/// the service's work. Huge pages are left alone (`no_thp`): an idle node would hold a third more.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    proof_concierge::cli::run()
}
