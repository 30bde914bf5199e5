//! NVIDIA's libraries that are called beside the driver: each is loaded once in a process, when it is first asked for.
//!
//! Its functions are looked for one by one then: a missing one is a reason, and no panic.

use std::sync::OnceLock;

use crate::engine::cuda::probe::{self, Extra, Found, Missing};

/// The functions of a library, as [`functions!`] declares them.
pub(super) trait Functions: Sized {
    /// Looks for each of them.
    ///
    /// # Errors
    /// The first that is not there, in words.
    fn of(library: &probe::Library) -> Result<Self, String>;
}

/// Declares the struct `Functions` of a library: a field for each function, with its name there and the types of its arguments.
/// Each gives a status. Nothing can check the types: they must be those of the library's header.
macro_rules! functions {
    ($(#[$about:meta])* $($field:ident = $symbol:literal($($argument:ty),* $(,)?);)*) => {
        $(#[$about])*
        #[derive(Debug)]
        pub(super) struct Functions {
            $(pub(super) $field: unsafe extern "C" fn($($argument),*) -> std::ffi::c_int,)*
        }

        impl $crate::engine::cuda::device::library::Functions for Functions {
            fn of(library: &$crate::engine::cuda::probe::Library) -> Result<Self, String> {
                Ok(Self {
                    // SAFETY: whoever declares a function vouches for its type, by the header that is named above it.
                    $($field: unsafe { $crate::engine::cuda::probe::function(library, $symbol)? },)*
                })
            }
        }
    };
}

pub(super) use functions;

/// One of the libraries, whether it is loaded already or not.
#[derive(Debug)]
pub(super) struct Library<F> {
    about: Extra,
    /// What to do where it lacks a function.
    mend: &'static str,
    loaded: OnceLock<Result<Loaded<F>, Missing>>,
}

/// A library, once it is loaded.
#[derive(Debug)]
pub(super) struct Loaded<F> {
    pub(super) functions: F,
    pub(super) version: String,
}

impl<F: Functions> Library<F> {
    pub(super) const fn new(about: Extra, mend: &'static str) -> Self {
        Self {
            about,
            mend,
            loaded: OnceLock::new(),
        }
    }

    /// The library of this process.
    ///
    /// # Errors
    /// It is not there, not whole, too old, or lacks a function.
    pub(super) fn loaded(&'static self) -> Result<&'static Loaded<F>, Missing> {
        let load = || {
            let (library, found) = probe::load(self.about)?;
            Loaded::of(library, found, self.mend)
        };
        self.loaded
            .get_or_init(load)
            .as_ref()
            .map_err(Missing::clone)
    }
}

impl<F: Functions> Loaded<F> {
    fn of(library: probe::Library, found: Found, mend: &str) -> Result<Self, Missing> {
        let Found { path, version } = found;
        match F::of(&library) {
            Ok(functions) => {
                // Its functions are called until the process ends.
                std::mem::forget(library);
                Ok(Self { functions, version })
            }
            Err(why) => Err(Missing {
                why: format!("{} cannot be used: {why}", path.display()),
                present: true,
                path: Some(path),
                mend: Some(mend.to_owned()),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::c_int;

    use super::*;

    /// What this process has, as it is linked to the system's library.
    mod whole {
        super::functions! {
            abs = "abs"(super::c_int);
        }
    }

    mod lacking {
        super::functions! {
            abs = "abs"(super::c_int);
            none = "forebay_has_no_such_function"();
        }
    }

    fn found() -> Found {
        Found {
            path: "/lib/libmade.so.1".into(),
            version: "1.2".to_owned(),
        }
    }

    #[test]
    fn a_library_with_all_functions_can_be_called() {
        let loaded = Loaded::<whole::Functions>::of(probe::Library::this(), found(), "").unwrap();
        // SAFETY: `int abs(int)` of C.
        assert_eq!(unsafe { (loaded.functions.abs)(-3) }, 3);
        assert_eq!(loaded.version, "1.2");
    }

    #[test]
    fn a_library_that_lacks_a_function_is_there_and_cannot_be_used() {
        let library = probe::Library::this();
        let loaded = Loaded::<lacking::Functions>::of(library, found(), "install it anew");
        let called = loaded.map(|loaded| (loaded.functions.abs, loaded.functions.none));
        let missing = called.unwrap_err();
        assert_eq!(
            missing.to_string(),
            "/lib/libmade.so.1 cannot be used: it has no function forebay_has_no_such_function; install it anew"
        );
        assert!(missing.present);
        assert_eq!(missing.path, Some(found().path));
    }
}
