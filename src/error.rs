//! One error type. Its public half (status, code, sentence, details) goes to the caller, its private
//! half (the cause) to the log. The sentence is chosen when the response leaves, by the caller's language.

pub mod openai;
mod problems;
mod refusals;

pub use problems::plain;

use crate::language::Language;
use serde_json::{Value, json};

macro_rules! codes {
    ($( #[doc = $doc:literal] $name:ident = $code:literal, $status:literal, $es:literal, $en:literal; )*) => {
        /// Every way a request can fail. Codes never change once published.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Code { $( #[doc = $doc] $name, )* }

        impl Code {
            /// All codes, for the documentation.
            pub const ALL: &'static [Code] = &[$( Code::$name, )*];

            /// The stable text of `error.code`.
            pub fn as_str(self) -> &'static str {
                match self { $( Code::$name => $code, )* }
            }

            /// When it is answered, for the documentation.
            pub fn meaning(self) -> &'static str {
                match self { $( Code::$name => $doc.trim_ascii(), )* }
            }

            /// The HTTP status it is answered with.
            pub fn status(self) -> u16 {
                match self { $( Code::$name => $status, )* }
            }

            /// The sentence for people.
            pub fn message(self, language: Language) -> &'static str {
                match (self, language) {
                    $( (Code::$name, Language::Es) => $es, (Code::$name, Language::En) => $en, )*
                }
            }
        }
    };
}

codes! {
    /// The body is not JSON, has the wrong shape or an unknown field.
    InvalidBody = "INVALID_BODY", 400, "El cuerpo de la solicitud no es válido", "The request body is not valid";
    /// A query parameter is unknown or malformed.
    InvalidQuery = "INVALID_QUERY", 400, "Los parámetros de la consulta no son válidos", "The query parameters are not valid";
    /// A path segment that should be a UUID is not one.
    InvalidId = "INVALID_ID", 400, "El identificador no es un UUID válido", "The identifier is not a valid UUID";
    /// A header is malformed.
    InvalidHeader = "INVALID_HEADER", 400, "Una cabecera de la solicitud no es válida", "A request header is not valid";
    /// A webhook's body is not what its signature is of, or the signature is missing or out of time. `details.reason` says which.
    InvalidSignature = "INVALID_SIGNATURE", 400, "La firma del evento no es válida", "The signature of the event is not valid";
    /// An event of the gateway's test mode, where real money is moved, or the other way round.
    WrongMode = "EVENT_WRONG_MODE", 400, "El evento es de otro modo (prueba o real)", "The event is of the other mode (test or live)";
    /// Neither a token nor an API key was sent.
    Unauthenticated = "UNAUTHENTICATED", 401, "Hace falta iniciar sesión o enviar una clave de API", "Sign in or send an API key";
    /// The token's signature, issuer, audience or shape is wrong.
    InvalidToken = "INVALID_TOKEN", 401, "El token no es válido", "The token is not valid";
    /// The token is past its time.
    TokenExpired = "TOKEN_EXPIRED", 401, "El token ha expirado", "The token has expired";
    /// The token is good but its user has no profile here, or it was deleted.
    ProfileNotFound = "PROFILE_NOT_FOUND", 401, "El usuario no tiene un perfil activo", "The user has no active profile";
    /// The token is good, but its sign-in was ended.
    SessionEnded = "SESSION_ENDED", 401, "La sesión ha terminado; inicie sesión de nuevo", "The session has ended; sign in again";
    /// The sign-in provider does not accept the refresh token.
    InvalidRefreshToken = "INVALID_REFRESH_TOKEN", 401, "El token de renovación no es válido", "The refresh token is not valid";
    /// The API key is unknown, inactive or expired.
    InvalidApiKey = "INVALID_API_KEY", 401, "La clave de API no es válida", "The API key is not valid";
    /// Only somebody who holds a permission can give it to others, or change those who hold it.
    NotHeld = "PERMISSION_NOT_HELD", 403, "No puede conceder ni tocar permisos que usted no tiene", "You cannot grant or touch permissions that you do not hold";
    /// What an API key makes, replaces or deletes ends no later and works no more often than that key.
    BeyondApiKey = "API_KEY_OUTRANKED", 403, "Una clave de API no puede crear, reemplazar ni borrar otra que dure más, admita más solicitudes o gaste más", "An API key cannot make, replace or delete one that lasts longer, allows more requests or spends more";
    /// The invitation was for another address than the one that the sign-in provider confirms.
    InvitationAddress = "INVITATION_ADDRESS_MISMATCH", 403, "Inicie sesión con la dirección de correo a la que se envió la invitación, una vez confirmada", "Sign in with the e-mail address that the invitation was sent to, once it is confirmed";
    /// The license is past its time, or its trial is. `details.status` says which.
    LicenseExpired = "LICENSE_EXPIRED", 403, "La licencia ha expirado", "The license has expired";
    /// The license is not in force. `details.status` is the code of its verdict.
    LicenseInactive = "LICENSE_INACTIVE", 403, "La licencia no está activa", "The license is not active";
    /// An AI call needs a license, and the organization has none in force; name one with `license_id`.
    LicenseRequired = "LICENSE_REQUIRED", 403, "La organización no tiene una licencia activa; indique license_id", "The organization has no active license; name one with license_id";
    /// The time of what was bought is over.
    AssetExpired = "ASSET_EXPIRED", 403, "El acceso a este producto ha caducado", "Access to this product has expired";
    /// What was bought is suspended, as while its payment is disputed. `details.reason` says why.
    AssetSuspended = "ASSET_SUSPENDED", 403, "El acceso a este producto está suspendido", "Access to this product is suspended";
    /// What was bought was taken back, as after a refund. `details.reason` says why.
    AssetRevoked = "ASSET_REVOKED", 403, "El acceso a este producto fue retirado", "Access to this product was taken back";
    /// The license that belongs to what was bought is suspended, expired or cancelled. `details` says which.
    AssetLicenseInactive = "ASSET_LICENSE_INACTIVE", 403, "La licencia de este producto no está activa", "The license of this product is not active";
    /// It was downloaded as often as the purchase includes.
    DownloadLimitReached = "DOWNLOAD_LIMIT_REACHED", 403, "Se alcanzó el número de descargas incluidas en la compra", "The downloads that the purchase includes are used up";
    /// The caller may not do this.
    Forbidden = "FORBIDDEN", 403, "No tiene permiso para esta operación", "You are not allowed to do this";
    /// No such route.
    RouteNotFound = "ROUTE_NOT_FOUND", 404, "La ruta no existe", "There is no such route";
    /// No such thing, or it belongs to somebody else.
    NotFound = "NOT_FOUND", 404, "El recurso no existe", "The resource does not exist";
    /// No such license, or it belongs to somebody else.
    LicenseNotFound = "LICENSE_NOT_FOUND", 404, "La licencia no existe", "The license does not exist";
    /// The license was bought from another organization: what it is worth changes with its order alone.
    LicenseBought = "LICENSE_BOUGHT", 409, "La licencia se compró a otra organización; lo que vale solo cambia con su pedido", "The license was bought from another organization; what it is worth changes with its order alone";
    /// No active model has that name, or none of that provider. `details.model` is what was asked for.
    ModelNotFound = "MODEL_NOT_FOUND", 404, "El modelo no existe o no está activo", "The model does not exist or is not active";
    /// No such person, or of somebody else's organization.
    UserNotFound = "USER_NOT_FOUND", 404, "El usuario no existe", "The user does not exist";
    /// No such plan, or one that is not offered.
    PlanNotFound = "PLAN_NOT_FOUND", 404, "El plan no existe", "The plan does not exist";
    /// No such prompt, or one without a version that serves calls.
    PromptNotFound = "PROMPT_NOT_FOUND", 404, "El prompt no existe o no tiene ninguna versión activa", "The prompt does not exist or has no active version";
    /// No such AI task, or somebody else's.
    TaskNotFound = "TASK_NOT_FOUND", 404, "La tarea no existe", "The task does not exist";
    /// No such batch of AI tasks, or somebody else's.
    BatchNotFound = "BATCH_NOT_FOUND", 404, "El lote no existe", "The batch does not exist";
    /// No such category, or one that is not shown.
    CategoryNotFound = "CATEGORY_NOT_FOUND", 404, "La categoría no existe", "The category does not exist";
    /// No such product, one that is not on sale, or somebody else's.
    ProductNotFound = "PRODUCT_NOT_FOUND", 404, "El producto no existe", "The product does not exist";
    /// No such review, or one that is hidden or somebody else's.
    ReviewNotFound = "REVIEW_NOT_FOUND", 404, "La reseña no existe", "The review does not exist";
    /// No such release, or one that is not published or somebody else's.
    ReleaseNotFound = "RELEASE_NOT_FOUND", 404, "La versión no existe", "The release does not exist";
    /// Nothing was released yet on the channel.
    NoRelease = "NO_RELEASE", 404, "Todavía no hay ninguna versión en este canal", "There is no release on this channel yet";
    /// Nothing of the kind was bought, or somebody else bought it.
    AssetNotFound = "ASSET_NOT_FOUND", 404, "El activo no existe", "The asset does not exist";
    /// No such invitation, or it expired, was accepted or was taken back.
    InvitationNotFound = "INVITATION_NOT_FOUND", 404, "La invitación no existe, ha caducado o ya se usó", "The invitation does not exist, has expired or was used";
    /// No such organization, or somebody else's.
    OrganizationNotFound = "ORGANIZATION_NOT_FOUND", 404, "La organización no existe", "The organization does not exist";
    /// No such webhook, or it belongs to somebody else.
    WebhookNotFound = "WEBHOOK_NOT_FOUND", 404, "El webhook no existe", "The webhook does not exist";
    /// No such key of an AI provider, or it belongs to somebody else.
    AiKeyNotFound = "AI_KEY_NOT_FOUND", 404, "La clave del proveedor de IA no existe", "The key of the AI provider does not exist";
    /// The address is not bound to the license.
    IpNotBound = "IP_NOT_BOUND", 404, "La dirección no está vinculada a la licencia", "The address is not bound to the license";
    /// No such order, or it is somebody else's.
    OrderNotFound = "ORDER_NOT_FOUND", 404, "El pedido no existe", "The order does not exist";
    /// No such invoice, or it is somebody else's.
    InvoiceNotFound = "INVOICE_NOT_FOUND", 404, "La factura no existe", "The invoice does not exist";
    /// No such coupon, or it is somebody else's.
    CouponNotFound = "COUPON_NOT_FOUND", 404, "El cupón no existe", "The coupon does not exist";
    /// No such saved card, or it is somebody else's.
    PaymentMethodNotFound = "PAYMENT_METHOD_NOT_FOUND", 404, "El método de pago no existe", "The payment method does not exist";
    /// No such subscription, or it is somebody else's.
    SubscriptionNotFound = "SUBSCRIPTION_NOT_FOUND", 404, "La suscripción no existe", "The subscription does not exist";
    /// No such tax rate.
    TaxRateNotFound = "TAX_RATE_NOT_FOUND", 404, "El impuesto no existe", "The tax rate does not exist";
    /// No such event of a payment gateway.
    PaymentEventNotFound = "PAYMENT_EVENT_NOT_FOUND", 404, "El evento de pago no existe", "The payment event does not exist";
    /// The route exists, the method does not.
    MethodNotAllowed = "METHOD_NOT_ALLOWED", 405, "La ruta no admite este método", "The route does not support this method";
    /// The state of the resource does not allow this.
    Conflict = "CONFLICT", 409, "El estado del recurso no permite esta operación", "The state of the resource does not allow this";
    /// A cancelled license stays cancelled.
    LicenseCancelled = "LICENSE_CANCELLED", 409, "La licencia está cancelada y no puede cambiar", "The license is cancelled and can no longer change";
    /// Reactivating what is not suspended, revoking what already is.
    LicenseStatusConflict = "LICENSE_STATUS_CONFLICT", 409, "El estado de la licencia no permite esta operación", "The status of the license does not allow this";
    /// A perpetual license has no expiry to extend.
    LicensePerpetual = "LICENSE_PERPETUAL", 409, "La licencia no expira y no puede renovarse", "The license does not expire and cannot be renewed";
    /// The address already has a slot.
    IpAlreadyBound = "IP_ALREADY_BOUND", 409, "La dirección ya está vinculada a la licencia", "The address is already bound to the license";
    /// Every slot is taken.
    IpLimitReached = "IP_LIMIT_REACHED", 409, "La licencia no admite más direcciones", "The license has no free slot for another address";
    /// Somebody of the organization has the address, or is invited with it.
    EmailTaken = "EMAIL_TAKEN", 409, "Ya hay un usuario con esa dirección de correo", "There already is a user with that e-mail address";
    /// Whoever accepts an invitation belongs to an organization already, and can leave it.
    AlreadyMember = "ALREADY_MEMBER", 409, "Ya pertenece a una organización; salga de ella antes de aceptar", "You already belong to an organization; leave it before you accept";
    /// Somebody who came needs no invitation.
    AlreadyActive = "ALREADY_ACTIVE", 409, "El usuario ya aceptó su invitación", "The user has already accepted the invitation";
    /// Another plan has the code.
    PlanCodeTaken = "PLAN_CODE_TAKEN", 409, "Ya hay un plan con ese código", "There already is a plan with that code";
    /// Another category has the slug.
    CategorySlugTaken = "CATEGORY_SLUG_TAKEN", 409, "Ya hay una categoría con ese identificador", "There already is a category with that slug";
    /// Products or other categories are in the category.
    CategoryInUse = "CATEGORY_IN_USE", 409, "La categoría contiene productos u otras categorías", "The category has products or other categories in it";
    /// As many categories as there may be.
    CategoryLimitReached = "CATEGORY_LIMIT_REACHED", 409, "No se admiten más categorías", "There is no room for another category";
    /// Another product has the slug, or had it and links lead to it.
    ProductSlugTaken = "PRODUCT_SLUG_TAKEN", 409, "Ya hay un producto con ese identificador", "There already is a product with that slug";
    /// Another product of the organization has the code.
    ProductCodeTaken = "PRODUCT_CODE_TAKEN", 409, "Ya hay un producto con ese código", "There already is a product with that code";
    /// What was on sale is archived, and no draft again.
    ProductStatusConflict = "PRODUCT_STATUS_CONFLICT", 409, "El estado del producto no permite esta operación", "The status of the product does not allow this";
    /// Somebody has it: it can be archived, not deleted.
    ProductSold = "PRODUCT_SOLD", 409, "El producto ya tiene clientes: archívelo en lugar de borrarlo", "The product has customers: archive it instead of deleting it";
    /// Nobody reviews what their own organization sells.
    OwnProduct = "OWN_PRODUCT", 409, "No puede reseñar un producto de su propia organización", "You cannot review a product of your own organization";
    /// One review per person and product: it can be changed.
    ReviewExists = "REVIEW_EXISTS", 409, "Ya escribió una reseña de este producto; puede cambiarla", "You have already reviewed this product; you can change your review";
    /// Nobody votes for their own review.
    OwnReview = "OWN_REVIEW", 409, "No puede votar su propia reseña", "You cannot vote for your own review";
    /// The author of a review that the platform hides takes it back.
    ReviewHidden = "REVIEW_HIDDEN", 409, "La reseña está oculta; puede cambiarla, pero no retirarla", "The review is hidden; you can change it, but not take it back";
    /// A release has the version, or one that differs in its build alone.
    VersionTaken = "VERSION_TAKEN", 409, "El producto ya tiene una versión con ese número", "The product already has a release with that version";
    /// A release does not go back, and a pre-release is not for everybody.
    ReleaseStatusConflict = "RELEASE_STATUS_CONFLICT", 409, "El estado de la versión no permite esta operación", "The status of the release does not allow this";
    /// The version and the file of what is published stay as they are. `details.fields` names what cannot change.
    ReleasePublished = "RELEASE_PUBLISHED", 409, "La versión ya está publicada y su archivo no puede cambiar", "The release is published and its file can no longer change";
    /// A release has a file with its size and checksum before anybody gets it.
    ReleaseWithoutFile = "RELEASE_WITHOUT_FILE", 409, "La versión no tiene un archivo que descargar", "The release has no file to download";
    /// No link to a file, or one that is over.
    DownloadNotFound = "DOWNLOAD_NOT_FOUND", 404, "El enlace de descarga no existe o ya no vale; pida otro", "The download link does not exist or is over; ask for another";
    /// The release was taken back. `details.reason` says why, `details.replacement` what to take instead.
    ReleaseYanked = "RELEASE_YANKED", 410, "Esta versión fue retirada", "This release was taken back";
    /// Some organization has the slug.
    SlugTaken = "SLUG_TAKEN", 409, "Ya hay una organización con ese identificador", "There already is an organization with that slug";
    /// The organization has as many people as it may have.
    UserLimitReached = "USER_LIMIT_REACHED", 409, "La organización no admite más usuarios", "The organization has no room for another user";
    /// Somebody has to be able to administer the organization, and the system.
    LastAdmin = "LAST_ADMIN", 409, "Es el último administrador de la organización", "This is the last administrator of the organization";
    /// Nobody changes the own role or removes themselves.
    OwnAccount = "OWN_ACCOUNT", 409, "No puede hacer esto con su propia cuenta", "You cannot do this to your own account";
    /// As many API keys as one may have.
    ApiKeyLimitReached = "API_KEY_LIMIT_REACHED", 409, "No se admiten más claves de API", "There is no room for another API key";
    /// An API key that ended or was replaced cannot be rotated.
    ApiKeyEnded = "API_KEY_ENDED", 409, "La clave de API ya no está activa o fue reemplazada", "The API key is no longer active or was replaced";
    /// As many webhooks as an organization may have.
    WebhookLimitReached = "WEBHOOK_LIMIT_REACHED", 409, "La organización no admite más webhooks", "The organization has no room for another webhook";
    /// As many secrets of a webhook as sign at the same time.
    WebhookSecretsFull = "WEBHOOK_SECRETS_FULL", 409, "Demasiadas rotaciones en 24 horas: los secretos anteriores siguen firmando", "Too many rotations within 24 hours: the secrets before still sign";
    /// A webhook that does not take deliveries.
    WebhookInactive = "WEBHOOK_INACTIVE", 409, "El webhook no está activo", "The webhook is not active";
    /// What a webhook's delivery sent is no longer kept, and cannot be sent again.
    DeliveryGone = "DELIVERY_GONE", 410, "Lo que llevaba esta entrega ya no se conserva; no se puede enviar de nuevo", "What this delivery sent is no longer kept; it cannot be sent again";
    /// A dead letter that cannot be sent again: no queue has its name, or it is larger than a queue takes. `details.problem` says which. It can be read and dropped.
    LetterStuck = "DEAD_LETTER_STUCK", 409, "El mensaje no puede volver a su cola; léalo y bórrelo", "The message cannot go back to its queue; read it and drop it";
    /// An audit log is acknowledged as cut off only where its verification says so.
    NotCutOff = "AUDIT_NOT_CUT_OFF", 409, "El registro de auditoría no termina cortado ahí; verifíquelo antes", "The audit log is not cut off there; verify it first";
    /// Another feature flag has the key.
    FlagKeyTaken = "FLAG_KEY_TAKEN", 409, "Ya hay un indicador con esa clave", "There already is a flag with that key";
    /// The order is paid already.
    OrderPaid = "ORDER_PAID", 409, "El pedido ya está pagado", "The order is already paid";
    /// The order was cancelled, or nobody paid it in time.
    OrderCancelled = "ORDER_CANCELLED", 409, "El pedido está cancelado", "The order is cancelled";
    /// Only what was paid can be paid back.
    OrderUnpaid = "ORDER_NOT_PAID", 409, "El pedido no está pagado", "The order is not paid";
    /// A payment of the order is being decided on; ask again in a moment.
    PaymentUnderWay = "PAYMENT_UNDER_WAY", 409, "Hay un pago en curso; inténtelo de nuevo en un momento", "A payment is under way; try again in a moment";
    /// The seller says that a transfer came, and the buyer did not choose one: they begin it with `POST /api/orders/{id}/pay` and `"gateway": "manual"`. `details.gateway` is how they pay, null for not yet.
    TransferNotBegun = "TRANSFER_NOT_BEGUN", 409, "El comprador no ha elegido pagar este pedido por transferencia", "The buyer has not chosen to pay this order by bank transfer";
    /// Nobody has set up payments by card here: trying again does not help, a bank transfer does.
    NoCardPayments = "CARD_PAYMENTS_NOT_CONFIGURED", 409, "Aquí no se ha configurado el pago con tarjeta; pague por transferencia", "Payments by card are not set up here; pay by bank transfer";
    /// The product has another price than the buyer saw. `details.items` names each with its price now.
    PriceChanged = "PRICE_CHANGED", 409, "El precio ha cambiado; confirme el nuevo antes de comprar", "The price has changed; confirm the new one before you buy";
    /// The coupon does not count for this order. `details.reason` says why.
    CouponNotApplicable = "COUPON_NOT_APPLICABLE", 409, "El cupón no se puede usar en este pedido", "The coupon cannot be used for this order";
    /// The organization has a coupon with that code.
    CouponCodeTaken = "COUPON_CODE_TAKEN", 409, "Ya hay un cupón con ese código", "There already is a coupon with that code";
    /// More than is left of what was paid. `details.left` says how much.
    RefundTooLarge = "REFUND_TOO_LARGE", 409, "No queda tanto por devolver", "There is not that much left to pay back";
    /// So much of the order is on its way back already. `details.refund_ids` names the refunds of which the gateway has not said the last word, `details.left` what is left besides them.
    RefundUnderWay = "REFUND_UNDER_WAY", 409, "Ya hay una devolución en curso por ese importe", "So much is already on its way back";
    /// There is an active tax rate for that place, or one with that code.
    TaxRateTaken = "TAX_RATE_TAKEN", 409, "Ya hay un impuesto para ese lugar o con ese código", "There already is a tax rate for that place or with that code";
    /// The subscription is over.
    SubscriptionEnded = "SUBSCRIPTION_ENDED", 409, "La suscripción ha terminado", "The subscription has ended";
    /// The subscription has that plan already, waits for a payment, or is not of a plan.
    SubscriptionConflict = "SUBSCRIPTION_CONFLICT", 409, "El estado de la suscripción no permite este cambio", "The state of the subscription does not allow this change";
    /// The card is not usable for that, or was not saved yet.
    PaymentMethodConflict = "PAYMENT_METHOD_CONFLICT", 409, "La tarjeta todavía no se puede usar", "The card cannot be used yet";
    /// The organization has a prompt of that name; make a new version of it.
    PromptSlugTaken = "PROMPT_SLUG_TAKEN", 409, "Ya hay un prompt con ese nombre; cree una versión nueva", "There already is a prompt with that name; make a new version of it";
    /// Calls were served by the version: what the model is told stays as it was measured.
    PromptInUse = "PROMPT_IN_USE", 409, "La versión ya se ha usado; cree una versión nueva", "The version has served calls; make a new version";
    /// As many versions as a prompt may have.
    PromptVersionLimit = "PROMPT_VERSION_LIMIT", 409, "El prompt no admite más versiones", "The prompt has no room for another version";
    /// The task is not where this is possible: what is finished cannot be cancelled, what is not finished or went well cannot be retried. `details.status` says where it is.
    TaskStatusConflict = "TASK_STATUS_CONFLICT", 409, "El estado de la tarea no permite esta operación", "The status of the task does not allow this";
    /// The task has no result yet. `details.status` says where it is.
    TaskNotFinished = "TASK_NOT_FINISHED", 409, "La tarea aún no ha terminado", "The task has not finished yet";
    /// Its consumers ended before they had an answer, as often as it is tried. Only in tasks.
    TaskAbandoned = "TASK_ABANDONED", 500, "La tarea se interrumpió demasiadas veces", "The task was interrupted too often";
    /// It waited for a day, and there was no room for it. Only in tasks.
    TaskExpired = "TASK_EXPIRED", 504, "La tarea esperó un día sin poder ejecutarse", "The task waited for a day without a chance";
    /// Another key of the same provider and owner has the name.
    AiKeyNameTaken = "AI_KEY_NAME_TAKEN", 409, "Ya hay una clave de este proveedor con ese nombre", "There already is a key of this provider with that name";
    /// The key of an AI provider is there already.
    AiKeyTaken = "AI_KEY_TAKEN", 409, "Esa clave del proveedor de IA ya está registrada", "That key of the AI provider is already there";
    /// As many keys of an AI provider as one may have.
    AiKeyLimitReached = "AI_KEY_LIMIT_REACHED", 409, "No se admiten más claves de este proveedor de IA", "There is no room for another key of this AI provider";
    /// Another AI model of the provider has the name.
    ModelTaken = "MODEL_TAKEN", 409, "Ya hay un modelo del proveedor con ese nombre", "There already is a model of the provider with that name";
    /// The same request came before, and is being answered.
    IdempotencyInProgress = "IDEMPOTENCY_IN_PROGRESS", 409, "Otra solicitud con esta clave de idempotencia se está atendiendo; repítala para recibir su respuesta", "Another request with this idempotency key is being answered; ask again for its answer";
    /// The same idempotency key was used for another request.
    IdempotencyConflict = "IDEMPOTENCY_CONFLICT", 409, "La clave de idempotencia ya se usó con otra solicitud", "The idempotency key was already used for another request";
    /// This AI call was made before.
    CallRepeated = "CALL_REPEATED", 409, "Esta llamada de IA ya se hizo", "This AI call was made before";
    /// The body is larger than accepted.
    BodyTooLarge = "BODY_TOO_LARGE", 413, "El cuerpo de la solicitud es demasiado grande", "The request body is too large";
    /// The body is not JSON by its `Content-Type`, or compressed by its `Content-Encoding`. `details.header` names which.
    UnsupportedMediaType = "UNSUPPORTED_MEDIA_TYPE", 415, "El cuerpo debe ser JSON sin comprimir; envíe la cabecera Content-Type: application/json", "The body must be JSON that is not compressed; send the header Content-Type: application/json";
    /// Well-formed, but a value is out of bounds. `details.fields` names each one.
    ValidationFailed = "VALIDATION_FAILED", 422, "Hay valores que no son válidos", "Some values are not valid";
    /// The payment gateway refused. `details.code` is its word.
    PaymentRefused = "PAYMENT_REFUSED", 422, "La pasarela de pago rechazó la operación", "The payment gateway refused the operation";
    /// The conversation and its answer are longer than any model it may go to can take. `details` says what was counted.
    ContextTooLong = "CONTEXT_LENGTH_EXCEEDED", 422, "La conversación supera la ventana de contexto del modelo", "The conversation is longer than the model's context window";
    /// The model or its provider refuses the question as it is. `details` says what it said.
    ProviderRejected = "PROVIDER_REJECTED", 422, "El proveedor de IA rechaza la solicitud tal como está", "The AI provider refuses the request as it is";
    /// A limit of the license or of the API key is reached. `details` says which, what is left, and when it returns.
    QuotaExceeded = "QUOTA_EXCEEDED", 429, "Se ha alcanzado el límite de uso de IA", "The limit for AI use is reached";
    /// As many AI calls as the license allows at a time are under way.
    ConcurrencyLimit = "CONCURRENCY_LIMIT", 429, "La licencia ya tiene en curso todas las llamadas de IA que admite", "The license has as many AI calls under way as it allows";
    /// As many files as an organization may fetch at a time are on their way. `Retry-After` says when to ask again.
    FilesUnderWay = "FILES_UNDER_WAY", 429, "La organización ya tiene en curso todas las descargas que admite a la vez; espere a que termine una", "The organization has as many files on their way as it may; wait until one is there";
    /// Too many requests.
    RateLimited = "RATE_LIMITED", 429, "Demasiadas solicitudes; espere antes de reintentar", "Too many requests; wait before trying again";
    /// A defect of ours. The log has the cause under the request id.
    Internal = "INTERNAL", 500, "Error interno; indique el identificador de la solicitud al soporte", "Internal error; quote the request id to support";
    /// Every provider that was asked failed. `details.attempts` says how.
    ProvidersFailed = "PROVIDERS_FAILED", 502, "Ningún proveedor de IA ha podido responder", "No AI provider could answer";
    /// No key of any provider is to be had right now. `Retry-After` says when the first comes back.
    ProvidersUnavailable = "PROVIDERS_UNAVAILABLE", 503, "Ningún proveedor de IA está disponible; reintente más tarde", "No AI provider is available; try again later";
    /// No provider answered in the time there was.
    DeadlineExceeded = "DEADLINE_EXCEEDED", 504, "Ningún proveedor de IA respondió a tiempo", "No AI provider answered in time";
    /// Something we depend on is away.
    Unavailable = "SERVICE_UNAVAILABLE", 503, "El servicio no está disponible; reintente en unos segundos", "The service is unavailable; try again in a few seconds";
}

/// An error on its way out.
#[derive(Debug, Clone)]
pub struct Error {
    /// What the caller learns.
    pub code: Code,
    /// Machine-readable particulars for the caller, such as the fields that are wrong.
    pub details: Option<Value>,
    /// Seconds after which trying again makes sense; becomes `Retry-After`.
    pub retry_after: Option<u32>,
    /// The methods that a path has; becomes `Allow`.
    pub allow: Option<String>,
    /// What only the log learns.
    pub cause: Option<String>,
}

/// What every fallible part of the worker returns.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error with nothing but its code.
    pub fn new(code: Code) -> Self {
        let retry_after = (code == Code::Unavailable).then_some(5);
        Self {
            code,
            details: None,
            retry_after,
            allow: None,
            cause: None,
        }
    }

    /// A defect of ours; `cause` goes to the log only.
    pub fn internal(cause: impl std::fmt::Display) -> Self {
        Self {
            cause: Some(cause.to_string()),
            ..Self::new(Code::Internal)
        }
    }

    /// Something we depend on is away; `cause` goes to the log only.
    pub fn unavailable(cause: impl std::fmt::Display) -> Self {
        Self {
            cause: Some(cause.to_string()),
            ..Self::new(Code::Unavailable)
        }
    }

    /// One value is out of bounds.
    pub fn field(name: &str, problem: &str) -> Self {
        Self::new(Code::ValidationFailed).with_details(json!({ "fields": { name: [problem] } }))
    }

    /// Adds particulars for the caller.
    pub fn with_details(self, details: Value) -> Self {
        Self {
            details: Some(details),
            ..self
        }
    }

    /// The body of the answer.
    pub fn body(&self, language: Language, request_id: &str) -> String {
        json!({ "success": false, "error": self.object(language, request_id) }).to_string()
    }

    /// The error as an object, as it stands in a body.
    pub fn object(&self, language: Language, request_id: &str) -> Value {
        let mut error = json!({
            "code": self.code.as_str(),
            "message": self.code.message(language),
            "request_id": request_id,
        });
        if let Some(details) = &self.details {
            let mut details = details.clone();
            if language == Language::Es {
                problems::in_spanish(&mut details);
            }
            error["details"] = details;
        }
        error
    }
}

impl From<Code> for Error {
    fn from(code: Code) -> Self {
        Self::new(code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_have_both_sentences() {
        let mut seen = std::collections::HashSet::new();
        for code in Code::ALL {
            assert!(
                seen.insert(code.as_str()),
                "{} is there twice",
                code.as_str()
            );
            assert_ne!(code.message(Language::Es), code.message(Language::En));
            assert!((400..600).contains(&code.status()));
        }
    }

    #[test]
    fn the_cause_never_leaves() {
        let body = Error::internal("relation licenses does not exist").body(Language::En, "r1");
        assert!(!body.contains("relation"));
        assert!(body.contains("\"request_id\":\"r1\""));
    }
}
