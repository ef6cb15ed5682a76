//! Pages whose blocks are scripts: what an operator reads is what a test runs.

/// The block of a page that begins with a comment of this name, without its indentation. Panics when there is none.
#[track_caller]
pub(crate) fn block_of(page: &str, name: &str) -> String {
    let start = format!("# {name}\n");
    let at = page.find(&format!("```sh\n{start}")).map(|at| at + "```sh\n".len());
    let at = at.or_else(|| page.find(&format!("```sh\n   {start}")).map(|at| at + "```sh\n   ".len()));
    let at = at.unwrap_or_else(|| panic!("the page has no block {name}"));
    let indent = page[..at].rsplit('\n').next().unwrap_or_default();
    let end = page[at..].find("```").expect("the block ends");
    page[at..at + end].lines().map(|line| line.strip_prefix(indent).unwrap_or(line)).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_block_loses_the_indentation_of_its_list() {
    let page = "1. First\n\n   ```sh\n   # one\n   a\n     b\n   ```\n\n```sh\n# two\nc\n```\n";
    assert_eq!(block_of(page, "one"), "# one\na\n  b\n");
    assert_eq!(block_of(page, "two"), "# two\nc");
}
