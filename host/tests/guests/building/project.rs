// SPDX-License-Identifier: Apache-2.0
//! A C project of any size: headers, sources, a static library of most of them, and a program that
//! prints one number. A test builds a small one, `benches build` a large one.

use std::fmt::Write;
use std::fs;
use std::io;
use std::path::Path;

const MAKEFILE: &str = include_str!("Makefile");
/// Some sixty lines of a source; `@B@` is its number.
const BLOCK: &str = include_str!("block.c");

/// Writes a project of `files` sources, each of so many blocks, and returns what its program
/// prints.
pub(crate) fn write(folder: &Path, files: u32, blocks: u32) -> io::Result<u64> {
    fs::create_dir_all(folder.join("src"))?;
    fs::create_dir_all(folder.join("include"))?;
    fs::write(folder.join("Makefile"), MAKEFILE)?;
    let parts = files.saturating_sub(1);
    let (mut includes, mut calls) = (String::new(), String::new());
    for part in 0..parts {
        let header = format!(
            "#ifndef PART{part}_H\n#define PART{part}_H\n\nlong part{part}(long from);\n\n#endif\n"
        );
        fs::write(folder.join(format!("include/part{part}.h")), header)?;
        fs::write(
            folder.join(format!("src/part{part}.c")),
            source(part, blocks),
        )?;
        let _ = writeln!(includes, "#include \"part{part}.h\"");
        let _ = writeln!(calls, "    sum += part{part}({part});");
    }
    let main = format!(
        "#include <stdio.h>\n{includes}\nint main(void)\n{{\n    long sum = 0;\n{calls}    \
         printf(\"%ld\\n\", sum);\n    return 0;\n}}\n"
    );
    fs::write(folder.join("src/main.c"), main)?;
    Ok(sum(parts.into(), blocks.into()))
}

fn source(part: u32, blocks: u32) -> String {
    let headers = ["ctype", "stdio", "stdlib", "string"];
    let mut text = headers
        .map(|name| format!("#include <{name}.h>\n"))
        .concat();
    let _ = write!(text, "\n#include \"part{part}.h\"\n");
    for block in 0..blocks {
        text += &BLOCK.replace("@B@", &block.to_string());
    }
    let _ = write!(
        text,
        "\nlong part{part}(long from)\n{{\n    long sum = 0;\n"
    );
    for block in 0..blocks {
        let _ = writeln!(text, "    sum += block{block}(from);");
    }
    text + "    return sum;\n}\n"
}

/// What the program computes.
fn sum(parts: u64, blocks: u64) -> u64 {
    let block = |from: u64, block: u64| (4 * from + 6) * (block + 1) + from;
    let part = |from| (0..blocks).map(|number| block(from, number)).sum::<u64>();
    (0..parts).map(part).sum()
}
