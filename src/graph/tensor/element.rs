//! The types that a tensor's elements can have.

use super::small;

/// How one element becomes a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Float32,
    Float64,
    Small(small::Format),
    Int,
    Uint,
    Bool,
    Text,
    Complex64,
    Complex128,
}

macro_rules! elements {
    ($($(#[$doc:meta])* $variant:ident = $number:literal, $name:literal, $bits:literal, $form:expr;)+) => {
        /// An element type of the ONNX format.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Element {
            $($(#[$doc])* $variant = $number,)+
        }

        impl Element {
            /// Every type, by rising number.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The type with this number in files (`TensorProto.DataType`).
            pub fn of_number(number: i32) -> Option<Self> {
                match number {
                    $($number => Some(Self::$variant),)+
                    _ => None,
                }
            }

            /// The number in files.
            pub fn number(self) -> i32 {
                self as i32
            }

            /// The name that ONNX's documentation uses.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }

            /// Bits of one element; 0 for strings.
            pub fn bits(self) -> usize {
                match self {
                    $(Self::$variant => $bits,)+
                }
            }

            pub(super) fn form(self) -> Form {
                match self {
                    $(Self::$variant => $form,)+
                }
            }
        }
    };
}

elements! {
    /// IEEE single precision.
    Float32 = 1, "float", 32, Form::Float32;
    /// 0 to 255.
    Uint8 = 2, "uint8", 8, Form::Uint;
    /// -128 to 127.
    Int8 = 3, "int8", 8, Form::Int;
    /// 16 bits.
    Uint16 = 4, "uint16", 16, Form::Uint;
    /// 16 bits.
    Int16 = 5, "int16", 16, Form::Int;
    /// 32 bits.
    Int32 = 6, "int32", 32, Form::Int;
    /// 64 bits.
    Int64 = 7, "int64", 64, Form::Int;
    /// Bytes, UTF-8 as a rule.
    Text = 8, "string", 0, Form::Text;
    /// A byte that is 0 or 1.
    Bool = 9, "bool", 8, Form::Bool;
    /// IEEE half precision.
    Float16 = 10, "float16", 16, Form::Small(small::FLOAT16);
    /// IEEE double precision.
    Float64 = 11, "double", 64, Form::Float64;
    /// 32 bits.
    Uint32 = 12, "uint32", 32, Form::Uint;
    /// 64 bits.
    Uint64 = 13, "uint64", 64, Form::Uint;
    /// Two single-precision numbers.
    Complex64 = 14, "complex64", 64, Form::Complex64;
    /// Two double-precision numbers.
    Complex128 = 15, "complex128", 128, Form::Complex128;
    /// The upper half of a single-precision number.
    Bfloat16 = 16, "bfloat16", 16, Form::Small(small::BFLOAT16);
    /// 4 bits of exponent, 3 of mantissa; no infinity.
    Float8E4M3FN = 17, "float8e4m3fn", 8, Form::Small(small::FLOAT8E4M3FN);
    /// 4 bits of exponent, 3 of mantissa; no infinity, one zero.
    Float8E4M3FNUZ = 18, "float8e4m3fnuz", 8, Form::Small(small::FLOAT8E4M3FNUZ);
    /// 5 bits of exponent, 2 of mantissa.
    Float8E5M2 = 19, "float8e5m2", 8, Form::Small(small::FLOAT8E5M2);
    /// 5 bits of exponent, 2 of mantissa; no infinity, one zero.
    Float8E5M2FNUZ = 20, "float8e5m2fnuz", 8, Form::Small(small::FLOAT8E5M2FNUZ);
    /// 0 to 15.
    Uint4 = 21, "uint4", 4, Form::Uint;
    /// -8 to 7.
    Int4 = 22, "int4", 4, Form::Int;
    /// 2 bits of exponent, 1 of mantissa; neither infinity nor NaN.
    Float4E2M1 = 23, "float4e2m1", 4, Form::Small(small::FLOAT4E2M1);
    /// A power of two.
    Float8E8M0 = 24, "float8e8m0", 8, Form::Small(small::FLOAT8E8M0);
    /// 0 to 3.
    Uint2 = 25, "uint2", 2, Form::Uint;
    /// -2 to 1.
    Int2 = 26, "int2", 2, Form::Int;
}
