//! Builds the consensus core and the C++ glue, and links both.
//!
//! `RAFT3D_NURAFT` unset: the core is built from `core/`. `RAFT3D_NURAFT=system`: a NuRaft that is
//! installed on the machine is used instead, found through CMake (`CMAKE_PREFIX_PATH` counts).
//! `RAFT3D_SANITIZE=address,undefined` or `=thread` builds the C++ side with sanitizers; run the
//! former with `ASAN_OPTIONS=verify_asan_link_order=0`, as Rust puts its libraries first.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

/// What it takes to use one build of NuRaft.
struct NuRaft {
    include: Vec<PathBuf>,
    /// In link order.
    libraries: Vec<Library>,
}

enum Library {
    /// Linked into the program.
    Static(PathBuf),
    /// Found at run time where it is now.
    Shared(PathBuf),
    /// Found by the linker under this name.
    Named(&'static str),
}

fn main() -> ExitCode {
    for path in [
        "build.rs",
        "src/ffi.rs",
        "include",
        "cpp",
        "core/CMakeLists.txt",
    ] {
        println!("cargo:rerun-if-changed={path}");
    }
    println!("cargo:rerun-if-changed=core/include");
    println!("cargo:rerun-if-changed=core/src");
    for name in ["RAFT3D_NURAFT", "RAFT3D_SANITIZE", "CMAKE_PREFIX_PATH"] {
        println!("cargo:rerun-if-env-changed={name}");
    }
    match build() {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("error: {reason}");
            ExitCode::FAILURE
        }
    }
}

fn build() -> Result<(), String> {
    require_cmake()?;
    let sanitize = env::var("RAFT3D_SANITIZE").unwrap_or_default();
    let nuraft = match env::var("RAFT3D_NURAFT") {
        Err(_) => build_core(&sanitize)?,
        Ok(choice) if choice == "system" => find_system()?,
        Ok(other) => {
            return Err(format!(
                "RAFT3D_NURAFT={other} is not known: leave it unset to build core/, or set it to \
                 \"system\" to use an installed NuRaft"
            ));
        }
    };
    build_glue(&nuraft, &sanitize);
    link(&nuraft, &sanitize);
    Ok(())
}

fn build_core(sanitize: &str) -> Result<NuRaft, String> {
    require_header("asio.hpp", "libasio-dev")?;
    require_header("openssl/ssl.h", "libssl-dev")?;
    let out = cmake::Config::new("core")
        .profile("RelWithDebInfo")
        .define("RAFT3D_BUILD_TESTS", "OFF")
        .define("RAFT3D_SANITIZE", sanitize)
        .build_target("static_lib")
        .build();
    Ok(NuRaft {
        include: vec![manifest_dir().join("core/include")],
        libraries: vec![
            Library::Static(out.join("build/libnuraft.a")),
            Library::Named("ssl"),
            Library::Named("crypto"),
        ],
    })
}

fn find_system() -> Result<NuRaft, String> {
    let out = cmake::Config::new("cpp/system")
        .no_build_target(true)
        .build();
    let path = out.join("build/nuraft.txt");
    let found = std::fs::read_to_string(&path)
        .map_err(|e| format!("cannot read {}: {e}", path.display()))?;
    let mut nuraft = NuRaft {
        include: Vec::new(),
        libraries: Vec::new(),
    };
    for (key, value) in found.lines().filter_map(|line| line.split_once('=')) {
        match key {
            // The compiler searches it anyway, and naming it would change the order in which the
            // C++ library finds the C headers.
            "include" if value == "/usr/include" => {}
            "include" => nuraft.include.push(value.into()),
            "static" => nuraft.libraries.push(Library::Static(value.into())),
            _ => nuraft.libraries.push(Library::Shared(value.into())),
        }
    }
    Ok(nuraft)
}

fn build_glue(nuraft: &NuRaft, sanitize: &str) {
    let mut glue = cxx_build::bridge("src/ffi.rs");
    glue.std("c++17")
        .include("include")
        .warnings(true)
        .extra_warnings(true)
        .warnings_into_errors(true)
        .files([
            "cpp/append_notifier.cxx",
            "cpp/crossing_bench.cxx",
            "cpp/durable_log.cxx",
            "cpp/durable_state.cxx",
            "cpp/fsm.cxx",
            "cpp/native_bench.cxx",
            "cpp/node.cxx",
            "cpp/proposer.cxx",
            "cpp/server_setup.cxx",
            "cpp/tls_credentials.cxx",
            "cpp/tracing_logger.cxx",
            "cpp/unapplied_entries.cxx",
        ]);
    // Warnings are for our own code, whichever NuRaft this is.
    for dir in &nuraft.include {
        glue.flag("-isystem").flag(dir);
    }
    if !sanitize.is_empty() {
        glue.flag(format!("-fsanitize={sanitize}"))
            .flag("-fno-omit-frame-pointer")
            .flag("-fno-sanitize-recover=all");
    }
    glue.compile("raft3d_glue");
}

fn link(nuraft: &NuRaft, sanitize: &str) {
    for library in &nuraft.libraries {
        match library {
            Library::Static(file) => link_file(file, "static="),
            Library::Shared(file) => {
                link_file(file, "dylib=");
                if let Some(dir) = file.parent() {
                    println!("cargo:rustc-link-arg=-Wl,-rpath,{}", dir.display());
                }
            }
            Library::Named(name) => println!("cargo:rustc-link-lib={name}"),
        }
    }
    // Rust links with -nodefaultlibs, which keeps the compiler from adding these by itself.
    for sanitizer in sanitize.split(',') {
        match sanitizer {
            "address" => println!("cargo:rustc-link-lib=dylib=asan"),
            "undefined" => println!("cargo:rustc-link-lib=dylib=ubsan"),
            "thread" => println!("cargo:rustc-link-lib=dylib=tsan"),
            _ => {}
        }
    }
}

/// Links the library in `file`, whose name has the form `libNAME.EXTENSION`.
fn link_file(file: &Path, kind: &str) {
    if let Some(dir) = file.parent() {
        println!("cargo:rustc-link-search=native={}", dir.display());
    }
    let name = file
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    let name = name.strip_prefix("lib").unwrap_or(name);
    let name = name.split('.').next().unwrap_or(name);
    println!("cargo:rustc-link-lib={kind}{name}");
}

fn require_cmake() -> Result<(), String> {
    let cmake = env::var_os("CMAKE").unwrap_or_else(|| "cmake".into());
    match Command::new(&cmake).arg("--version").output() {
        Ok(_) => Ok(()),
        Err(e) => Err(format!(
            "cannot run {}: {e}. Install the Debian package cmake, or run `make setup`",
            Path::new(&cmake).display()
        )),
    }
}

/// Asks the C++ compiler whether it finds `header`, which is in the Debian package `package`.
fn require_header(header: &str, package: &str) -> Result<(), String> {
    let compiler = cxx_build::bridges(Vec::<PathBuf>::new())
        .cpp(true)
        .try_get_compiler()
        .map_err(|e| {
            format!("no C++ compiler: {e}. Install the Debian package g++, or run `make setup`")
        })?;
    let mut check = compiler.to_command();
    check.args([
        "-std=c++17",
        "-DASIO_STANDALONE",
        "-x",
        "c++",
        "-fsyntax-only",
        "-include",
    ]);
    check
        .args([header, "/dev/null"])
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    match check.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => Err(format!(
            "the C++ compiler does not find <{header}>. Install the Debian package {package}, or \
             run `make setup`"
        )),
        Err(e) => Err(format!(
            "cannot run the C++ compiler {}: {e}. Install the Debian package g++, or run `make \
             setup`",
            compiler.path().display()
        )),
    }
}

fn manifest_dir() -> PathBuf {
    env::var_os("CARGO_MANIFEST_DIR").map_or_else(PathBuf::new, PathBuf::from)
}
