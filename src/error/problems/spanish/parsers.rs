//! What parsers of bodies and query strings say, and the kinds of values they name.

/// See [`super::SPANISH`].
pub const SENTENCES: &[(&str, &str)] = &[
    (
        "must be {} to {} characters",
        "debe tener de {} a {} caracteres",
    ),
    (
        "must be at most {} words of {} to {} characters",
        "debe ser como máximo {} palabras de {} a {} caracteres",
    ),
    // What the parsers of bodies and query strings say.
    ("{} at line {} column {}", "{} en la línea {}, columna {}"),
    (
        "invalid type: {}, expected {}",
        "tipo no válido: {}; se esperaba {}",
    ),
    (
        "invalid value: {}, expected {}",
        "valor no válido: {}; se esperaba {}",
    ),
    (
        "invalid length {}, expected {}",
        "longitud no válida: {}; se esperaba {}",
    ),
    (
        "unknown field `{}`, there are no fields",
        "campo desconocido `{}`; no hay campos",
    ),
    (
        "unknown field `{}`, expected {}",
        "campo desconocido `{}`; se esperaba {}",
    ),
    ("unknown field `{}`", "campo desconocido `{}`"),
    ("UUID parsing failed: {}", "no es un UUID"),
    ("failed to parse a UUID", "no es un UUID"),
    (
        "none of the forms that this may have",
        "no tiene ninguna de las formas posibles",
    ),
    (
        "unknown variant `{}`, expected {}",
        "valor desconocido `{}`; se esperaba {}",
    ),
    ("unknown setting `{}`", "ajuste desconocido `{}`"),
    ("missing field `{}`", "falta el campo `{}`"),
    ("duplicate field `{}`", "el campo `{}` está dos veces"),
    ("duplicate setting `{}`", "el ajuste `{}` está dos veces"),
    ("one of {}", "uno de {}"),
    ("`{}` or `{}`", "`{}` o `{}`"),
    ("invalid digit found in string", "no es un número entero"),
    (
        "cannot parse integer from empty string",
        "no es un número entero",
    ),
    (
        "number too large to fit in target type",
        "el número es demasiado grande",
    ),
    (
        "number too small to fit in target type",
        "el número es demasiado pequeño",
    ),
    (
        "provided string was not `true` or `false`",
        "debe ser `true` o `false`",
    ),
    ("EOF while parsing {}", "el texto termina antes de tiempo"),
    ("expected value", "se esperaba un valor"),
    ("expected ident", "se esperaba un valor"),
    ("expected {}", "se esperaba {}"),
    (
        "key must be a string",
        "el nombre de un campo debe ser texto",
    ),
    ("trailing comma", "sobra una coma"),
    ("trailing characters", "sobra texto al final"),
    ("invalid escape", "secuencia de escape no válida"),
    ("invalid number", "número no válido"),
    ("number out of range", "número fuera de rango"),
    ("invalid unicode code point", "carácter Unicode no válido"),
    (
        "lone leading surrogate in hex escape",
        "secuencia de escape incompleta",
    ),
    (
        "unexpected end of hex escape",
        "secuencia de escape incompleta",
    ),
    (
        "control character ({}) found while parsing a string",
        "hay un carácter de control ({}) dentro de un texto",
    ),
    ("recursion limit exceeded", "demasiados niveles"),
    ("the body is not UTF-8", "el cuerpo no es UTF-8"),
    ("the body is not an object", "el cuerpo no es un objeto"),
    (
        "text must not contain the NUL character",
        "el texto no puede contener el carácter NUL",
    ),
    (
        "this route has no query parameters",
        "esta ruta no tiene parámetros",
    ),
    ("not a cursor of this list", "no es un cursor de esta lista"),
    (
        "1 to 255 printable ASCII characters",
        "de 1 a 255 caracteres ASCII imprimibles",
    ),
    // Kinds of values.
    ("null", "nulo"),
    ("an object", "un objeto"),
    ("an array", "una lista"),
    ("a boolean", "verdadero o falso"),
    ("a string", "un texto"),
    ("a number", "un número"),
    ("an integer", "un número entero"),
    ("a UUID", "un UUID"),
    (
        "a text or a list of parts",
        "un texto o una lista de partes",
    ),
    ("string {}", "el texto {}"),
    ("integer {}", "el número {}"),
    ("floating point {}", "el número {}"),
    ("boolean {}", "{}"),
    (
        "an RFC 3339 time or a date, years 1970 to 9999",
        "un momento RFC 3339 o una fecha, años 1970 a 9999",
    ),
    ("not a UUID with hyphens", "no es un UUID con guiones"),
    ("not an IP address", "no es una dirección IP"),
];
