//! What is wrong with a value that could be read.

/// See [`super::SPANISH`].
pub const SENTENCES: &[(&str, &str)] = &[
    // Bounds.
    ("length is lower than {}", "la longitud es menor que {}"),
    ("length is greater than {}", "la longitud es mayor que {}"),
    ("lower than {}", "es menor que {}"),
    ("greater than {}", "es mayor que {}"),
    (
        "must be at most {} different names of {} to {} characters",
        "como máximo {} nombres distintos de {} a {} caracteres",
    ),
    (
        "must be at most {} pictures, each with an https address and a text of up to {} characters",
        "como máximo {} imágenes, cada una con una dirección https y un texto de hasta {} caracteres",
    ),
    (
        "must be {} to {} capital letters and digits",
        "debe tener de {} a {} mayúsculas y dígitos",
    ),
    (
        "must be {} to {} characters with a word in them",
        "debe tener de {} a {} caracteres con alguna palabra",
    ),
    (
        "must be {} to {} plain letters, digits and . _ - +",
        "debe tener de {} a {} letras sin acentos, dígitos y . _ - +",
    ),
    (
        "must be names of plain letters, digits and . _ - + joined by /",
        "deben ser nombres de letras sin acentos, dígitos y . _ - + unidos por /",
    ),
    (
        "must be {} hexadecimal digits, the letters small",
        "debe tener {} dígitos hexadecimales, las letras en minúscula",
    ),
    (
        "must not be below the price",
        "no puede ser menor que el precio",
    ),
    (
        "is required for a subscription",
        "es obligatorio en una suscripción",
    ),
    (
        "must not be lifetime for a subscription",
        "no puede ser lifetime en una suscripción",
    ),
    (
        "is above the version itself",
        "es posterior a la propia versión",
    ),
    (
        "is for super_admin to set",
        "solo lo puede cambiar super_admin",
    ),
    (
        "cannot be archived from the start",
        "no puede estar archivado desde el principio",
    ),
    ("must not be empty", "no puede estar vacío"),
    (
        "is not a semantic version such as {} or {}",
        "no es una versión semántica como {} o {}",
    ),
    (
        "is too large for a file",
        "es demasiado grande para un archivo",
    ),
    (
        "must be yanked for a reason or a replacement",
        "debe ser yanked para tener un motivo o un reemplazo",
    ),
    (
        "is no published release of the product",
        "no es una versión publicada del producto",
    ),
    (
        "cannot be stable for a pre-release version",
        "no puede ser stable en una versión preliminar",
    ),
    ("would be inside itself", "quedaría dentro de sí misma"),
    ("is too deep in the tree", "está a demasiada profundidad"),
    (
        "must be at most {} names of small letters, digits and . _ -",
        "como máximo {} nombres de minúsculas, dígitos y . _ -",
    ),
    (
        "must be at most {} names of {} to {} characters",
        "como máximo {} nombres de {} a {} caracteres",
    ),
    ("must be at most {}", "debe ser como máximo {}"),
    (
        "must be a whole number from {} to {}",
        "debe ser un número entero de {} a {}",
    ),
    ("must be true or false", "debe ser verdadero o falso"),
    ("must be one of: {}", "debe ser uno de: {}"),
    (
        "must be {} to {} characters on one line, without spaces around them",
        "debe tener de {} a {} caracteres en una línea, sin espacios alrededor",
    ),
    (
        "must be a public https address, such as {}",
        "debe ser una dirección https pública, como {}",
    ),
    (
        "must be an e-mail address",
        "debe ser una dirección de correo",
    ),
    (
        "must be one line of {} to {} characters, none of them hidden",
        "debe ser una línea de {} a {} caracteres, ninguno oculto",
    ),
    (
        "must be {} to {} lower-case letters, digits and single hyphens",
        "debe tener de {} a {} minúsculas, dígitos y guiones sueltos",
    ),
    (
        "must be {} to {} small letters, digits and single hyphens",
        "debe tener de {} a {} minúsculas, dígitos y guiones sueltos",
    ),
    (
        "must be words of small letters and digits, joined by . _ or -, at most {} characters",
        "deben ser palabras de minúsculas y dígitos, unidas por . _ o -, como máximo {} caracteres",
    ),
    (
        "must be three capital letters, as USD",
        "deben ser tres mayúsculas, como USD",
    ),
    (
        "is not a currency such as USD (ISO 4217)",
        "no es una moneda como USD (ISO 4217)",
    ),
    ("must be two capital letters", "deben ser dos mayúsculas"),
    ("must be text or an object", "debe ser texto o un objeto"),
    ("must be {} or more", "debe ser {} o más"),
    ("must be {} to {}", "debe ser de {} a {}"),
    ("must be in the future", "debe estar en el futuro"),
    ("must be after starts_at", "debe ser posterior a starts_at"),
    ("cannot be cleared", "no puede quedar vacío"),
    (
        "can only be set for a trial",
        "solo puede indicarse en una prueba",
    ),
    ("leads too far away", "queda demasiado lejos"),
    (
        "at most {} entries of letters, digits, _ - and .",
        "como máximo {} entradas de letras, dígitos, _ - y .",
    ),
    (
        "every entry must be resource:verb, resource:* or *",
        "cada entrada debe ser recurso:verbo, recurso:* o *",
    ),
    (
        "every entry must be a network such as {} or {}",
        "cada entrada debe ser una red como {} o {}",
    ),
    (
        "only super_admin may set it",
        "solo super_admin puede ponerlo",
    ),
    ("has more than {} entries", "tiene más de {} entradas"),
    ("has {} twice", "tiene {} dos veces"),
    ("is an e-mail address", "es una dirección de correo"),
    ("is not an e-mail address", "no es una dirección de correo"),
    ("is not an https address", "no es una dirección https"),
    ("is not a web address", "no es una dirección web"),
    ("is not a telephone number", "no es un número de teléfono"),
    (
        "is not a language such as {} or {}",
        "no es un idioma como {} o {}",
    ),
    ("is not a colour as #RRGGBB", "no es un color como #RRGGBB"),
    ("is not an IP address", "no es una dirección IP"),
    (
        "is not a time zone of the IANA database",
        "no es una zona horaria de la base de datos IANA",
    ),
    (
        "is not an event, a family such as license.*, or *",
        "no es un evento, una familia como license.* ni *",
    ),
    (
        "is not within the last {} days",
        "no está dentro de los últimos {} días",
    ),
    ("is not that of the path", "no es la de la ruta"),
    (
        "is larger than {} KB as it is stored",
        "ocupa más de {} KB al guardarse",
    ),
    ("is larger than {} KB", "ocupa más de {} KB"),
    ("has a number above {}", "tiene un número mayor que {}"),
    ("is longer than {} characters", "tiene más de {} caracteres"),
    (
        "is more than {} rows away: follow meta.next_cursor instead",
        "queda a más de {} filas: siga meta.next_cursor",
    ),
    ("is more than seven days ago", "fue hace más de siete días"),
    ("is in the future", "está en el futuro"),
    ("is too far away", "queda demasiado lejos"),
    ("is reserved", "está reservado"),
    ("no queue has this name", "ninguna cola tiene este nombre"),
    (
        "it is larger than a queue takes",
        "es mayor de lo que admite una cola",
    ),
    ("is required for super_admin", "hace falta para super_admin"),
    (
        "is required, none can be made from the name",
        "hace falta: no se puede formar a partir del nombre",
    ),
    ("must be text alone", "solo puede ser text"),
    ("must be false", "debe ser false"),
    (
        "is required without prompt_slug",
        "hace falta si no hay prompt_slug",
    ),
    ("is required", "hace falta"),
    (
        "need a prompt, by prompt_slug",
        "necesitan una plantilla, con prompt_slug",
    ),
    (
        "is the prompt's own where prompt_slug is given",
        "lo pone la plantilla cuando se indica prompt_slug",
    ),
    (
        "is not possible here; use /api/ai/chat",
        "no es posible aquí; use /api/ai/chat",
    ),
    ("differs from X-License-ID", "no coincide con X-License-ID"),
    (
        "cannot be combined with Idempotency-Key",
        "no puede combinarse con Idempotency-Key",
    ),
    (
        "has images, which the model cannot see",
        "tiene imágenes, que el modelo no puede ver",
    ),
    (
        "are nothing that the model can call",
        "no son funciones que el modelo pueda pedir",
    ),
    (
        "is nothing that the model can keep to",
        "no es un formato que el modelo pueda cumplir",
    ),
    (
        "is nothing that the model can do",
        "no es algo que el modelo pueda hacer",
    ),
    (
        "must be at most {} for this model",
        "debe ser como máximo {} para este modelo",
    ),
    ("does not exist", "no existe"),
    ("the URL is too long", "la URL es demasiado larga"),
    ("not a URL", "no es una URL"),
    (
        "the URL does not begin with https://",
        "la URL no empieza por https://",
    ),
    (
        "the URL contains a user name or password",
        "la URL contiene un usuario o una contraseña",
    ),
    (
        "the address is not a public one",
        "la dirección no es pública",
    ),
    (
        "must be two capital letters, as ES",
        "debe ser dos letras mayúsculas, como ES",
    ),
    (
        "must be 2 to 50 letters, digits, hyphens and underscores",
        "debe tener de 2 a 50 letras, cifras, guiones y guiones bajos",
    ),
    (
        "must be 4 to 20 letters and digits, with spaces, hyphens and dots between them",
        "debe tener de 4 a 20 letras y cifras, con espacios, guiones y puntos entre ellas",
    ),
    (
        "has a price that is no amount of its currency",
        "tiene un precio que no es un importe de su moneda",
    ),
    (
        "must be a percentage up to 100, or an amount of the currency, and more than 0",
        "debe ser un porcentaje hasta 100, o un importe de la moneda, y mayor que 0",
    ),
    (
        "is no amount of the currency",
        "no es un importe de la moneda",
    ),
    (
        "must be after valid_from",
        "debe ser posterior a valid_from",
    ),
    (
        "is less than it was used already",
        "es menor que las veces que ya se usó",
    ),
    (
        "comes to more than can be sold in one order",
        "suma más de lo que se puede vender en un pedido",
    ),
    ("asks for more than 100 things", "pide más de 100 cosas"),
    ("is not for sale", "no está a la venta"),
    (
        "must be there, or else plan_id",
        "debe estar, o si no plan_id",
    ),
    (
        "is sold by somebody else than the first",
        "lo vende otra organización que el primero",
    ),
    (
        "has another currency than the first",
        "tiene otra moneda que el primero",
    ),
    ("must be 1 to 1000000000", "debe ser de 1 a 1000000000"),
    (
        "expected a percentage: 0 to 100 with at most four decimals",
        "se esperaba un porcentaje: de 0 a 100 con cuatro decimales como máximo",
    ),
    ("is only for super_admin", "es solo para super_admin"),
    (
        "is required for a version that was made from no other",
        "hace falta para una versión que no se hizo a partir de otra",
    ),
    (
        "cannot be there beside prompt_slug",
        "no puede estar junto a prompt_slug",
    ),
    (
        "is none of those that there are",
        "no es ninguno de los que hay",
    ),
    (
        "are for a stored prompt, and none is named",
        "son para un prompt guardado, y no se indica ninguno",
    ),
    (
        "cannot be there beside a text",
        "no puede estar junto a un texto",
    ),
    (
        "is required, unless there are messages or a stored prompt",
        "hace falta, salvo que haya mensajes o un prompt guardado",
    ),
    (
        "cannot be there beside a stored prompt",
        "no puede estar junto a un prompt guardado",
    ),
    (
        "cannot be there beside a stored prompt: see input_text",
        "no puede estar junto a un prompt guardado: vea input_text",
    ),
    (
        "is given twice: it is among the variables too",
        "está dos veces: también está entre las variables",
    ),
    (
        "is nothing that the prompt asks for",
        "no es nada que el prompt pida",
    ),
    (
        "is required for a prompt without a template",
        "hace falta para un prompt sin plantilla",
    ),
    (
        "has more than the {} entries that the license allows",
        "tiene más de las {} entradas que admite la licencia",
    ),
    (
        "used but not declared: {}",
        "se usan y no están declaradas: {}",
    ),
    (
        "declared but not used: {}",
        "están declaradas y no se usan: {}",
    ),
    ("without a value: {}", "sin valor: {}"),
    (
        "not variables of this template: {}",
        "no son variables de esta plantilla: {}",
    ),
    ("includes itself: {}", "se incluye a sí misma: {}"),
    ("there is no template {}", "no hay ninguna plantilla {}"),
    (
        "the braces at byte {} are not closed",
        "las llaves del byte {} no se cierran",
    ),
    (
        "the braces at byte {} hold neither a name nor '> slug'",
        "las llaves del byte {} no contienen ni un nombre ni '> slug'",
    ),
    (
        "has a quota_group that is not {} to {} characters",
        "tiene un quota_group que no es de {} a {} caracteres",
    ),
    ("is not possible here", "aquí no es posible"),
    (
        "is what a suspension by a payment, a seller or the system says",
        "es lo que dice una suspensión por un pago, de un vendedor o del sistema",
    ),
    ("must be a UUID", "debe ser un UUID"),
    (
        "must be an RFC 3339 time or a date, years {} to {}",
        "debe ser una fecha o una hora RFC 3339, de los años {} a {}",
    ),
    (
        "is not an IANA time zone, as America/Mexico_City",
        "no es una zona horaria IANA, como America/Mexico_City",
    ),
    (
        "is of a time that is only kept by the hour: ask in a zone that is whole hours from UTC, from and to whole hours",
        "es de un tiempo que solo se guarda por horas: pregunte en una zona a horas enteras de UTC, de hora en hora",
    ),
    ("must be before `to`", "debe ser anterior a `to`"),
    (
        "must be at most {} years before `to`",
        "debe ser como máximo {} años anterior a `to`",
    ),
    (
        "gives {} points, of which at most {} are possible",
        "da {} puntos, de los que son posibles como máximo {}",
    ),
    ("does not narrow this report", "no acota este informe"),
    (
        "is not possible with format=zip, which has all of them",
        "no es posible con format=zip, que los tiene todos",
    ),
];
