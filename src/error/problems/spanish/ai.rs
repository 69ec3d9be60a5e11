//! What is wrong with a question to a model, a template or a key.

/// See [`super::SPANISH`].
pub const SENTENCES: &[(&str, &str)] = &[
    // Templates.
    ("longer than {} bytes", "tiene más de {} bytes"),
    ("more than {} variables", "más de {} variables"),
    (
        "more than {} templates inside each other, or more than {} in all",
        "más de {} plantillas unas dentro de otras, o más de {} en total",
    ),
    ("comes to more than {} bytes", "pasa de {} bytes"),
    // Questions.
    ("too many messages", "demasiados mensajes"),
    (
        "needs a message that is not the system's",
        "necesita un mensaje que no sea del sistema",
    ),
    ("too many images", "demasiadas imágenes"),
    (
        "names no call of the message before that waits for a result",
        "no es una llamada del mensaje anterior que espere un resultado",
    ),
    ("a call has no result", "una llamada no tiene resultado"),
    ("must be from {} to {}", "debe ser de {} a {}"),
    ("must be at least {}", "debe ser como mínimo {}"),
    (
        "up to {} texts, none of them empty or longer than {} bytes",
        "hasta {} textos, ninguno vacío ni de más de {} bytes",
    ),
    (
        "must be none, minimal, low, medium, high or xhigh",
        "debe ser none, minimal, low, medium, high o xhigh",
    ),
    ("too many functions", "demasiadas funciones"),
    (
        "there is another function of this name",
        "hay otra función con este nombre",
    ),
    (
        "must be a JSON schema of an object",
        "debe ser un esquema JSON de un objeto",
    ),
    ("must be a JSON schema", "debe ser un esquema JSON"),
    (
        "there is no such function in tools",
        "no hay tal función en tools",
    ),
    (
        "{} to {} letters, digits, _ or -",
        "de {} a {} letras, dígitos, _ o -",
    ),
    (
        "only messages of the assistant have calls",
        "solo los mensajes del asistente tienen llamadas",
    ),
    ("too many calls", "demasiadas llamadas"),
    ("must be {} to {} bytes", "debe tener de {} a {} bytes"),
    (
        "there is another call of this id",
        "hay otra llamada con este id",
    ),
    (
        "messages of a tool have it, and no others",
        "lo tienen los mensajes de una función, y ningún otro",
    ),
    ("only the assistant refuses", "solo el asistente se niega"),
    (
        "only users send images",
        "solo los usuarios envían imágenes",
    ),
    (
        "must be a public https:// URL or data:image/…;base64,… of a JPEG, PNG, GIF or WebP image",
        "debe ser una URL https:// pública o data:image/…;base64,… de una imagen JPEG, PNG, GIF o WebP",
    ),
    (
        "is longer than the model takes",
        "es más largo de lo que admite el modelo",
    ),
    // As OpenAI's clients ask.
    ("must be 1", "debe ser 1"),
    ("must be 0", "debe ser 0"),
    ("must be empty", "debe estar vacío"),
    ("is not available", "no está disponible"),
    ("are called tools", "se llaman tools"),
    ("is called tool_choice", "se llama tool_choice"),
    // Models and keys.
    (
        "must be {} to {} printable characters without blanks",
        "debe tener de {} a {} caracteres imprimibles sin espacios",
    ),
    (
        "must be at most {} names of {} to {} printable characters without blanks",
        "como máximo {} nombres de {} a {} caracteres imprimibles sin espacios",
    ),
    (
        "must be at most {} words of {} to {} characters",
        "como máximo {} palabras de {} a {} caracteres",
    ),
    (
        "has a pricing that is none: see long_context and peak",
        "tiene un pricing que no lo es: vea long_context y peak",
    ),
    (
        "expected a price: {} to {} with at most {} decimals",
        "se esperaba un precio: de {} a {} con {} decimales como máximo",
    ),
];
