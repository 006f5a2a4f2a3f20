use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The Rust files of the workspace: their texts by their paths from its root, with `/` between the names.
///
/// # Panics
/// When a folder or a file cannot be read.
pub fn rust_files() -> BTreeMap<String, String> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let (mut folders, mut files) = (vec![PathBuf::new()], BTreeMap::new());
    while let Some(folder) = folders.pop() {
        for entry in read(std::fs::read_dir(workspace.join(&folder)), &folder) {
            let entry = read(entry, &folder);
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = folder.join(&name);
            if read(entry.file_type(), &path).is_dir() {
                folders.extend((name != "target" && !name.starts_with('.')).then_some(path));
            } else if path.extension().is_some_and(|it| it == "rs") {
                let text = read(std::fs::read_to_string(workspace.join(&path)), &path);
                files.insert(path.to_string_lossy().replace('\\', "/"), text);
            }
        }
    }
    files
}

fn read<T>(found: std::io::Result<T>, path: &Path) -> T {
    found.unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
