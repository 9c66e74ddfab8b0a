import { StatusError } from "#shared/api/errors.ts";
import { isJsonObject, type JsonObject } from "#shared/api/patch/json-value.ts";
import { goQuote } from "#shared/api/selector/go-quote.ts";
import { rfc3339Micro } from "#shared/api/time.ts";
import type { ObjectMeta } from "#shared/api/types/meta-v1.generated.ts";
import { listValue } from "../http/list-pieces.ts";
import type { ApiResponse, RequestInfo, User } from "../request.ts";
import { formatAddress, parseAddress } from "../resources/validation/addresses.ts";
import { rejectedRequests } from "./audit-metrics.ts";
import { type Level, reaches, type Stage, type Verdict } from "./policy.ts";

/** An event of audit.k8s.io/v1 and what writers of another form need of it. */
export interface AuditEvent {
  readonly stage: Stage;
  readonly level: Level;
  readonly info: RequestInfo;
  readonly value: JsonObject;
}

/** Of a request as it came. */
export interface AuditedRequest {
  readonly method: string;
  readonly info: RequestInfo;
  /** Path with query. */
  readonly uri: string;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly remoteAddress?: string | undefined;
}

/** Undefined: nobody waits for what becomes of the event. Else it resolves once that is settled, false where the request is to be for
 *  nothing without it. */
export type Recorded = Promise<boolean> | undefined;

/** Where events go. */
export interface AuditSink {
  /** Whether any of them is waited for. */
  readonly isAwaited: boolean;
  write(event: AuditEvent): Recorded;
}

/** Beginning of the names of annotations that show parts of a body: only events that have bodies have them. */
export const patchAnnotations = "patch.webhook.admission.k8s.io/";

/** What one request has come to so far; each stage that the policy wants becomes an event. */
export class AuditRecord {
  readonly annotations: Record<string, string> = {};
  readonly #verdict: Verdict;
  readonly #sink: AuditSink;
  readonly #request: AuditedRequest;
  readonly #fields: JsonObject;
  readonly #objectRef: JsonObject | undefined;
  readonly #received = microTimeNow();
  #impersonated: User | undefined;
  #requestObject: unknown;
  #responseObject: unknown;
  #status: JsonObject | undefined;
  #isComplete = false;
  #recorded: Recorded;

  constructor(request: AuditedRequest, user: User | undefined, auditId: string, verdict: Verdict, sink: AuditSink) {
    this.#request = request;
    this.#verdict = verdict;
    this.#sink = sink;
    this.#fields = {
      kind: "Event",
      apiVersion: "audit.k8s.io/v1",
      level: verdict.level,
      auditID: auditId,
      stage: "",
      requestURI: request.uri,
      verb: request.info.verb,
      user: userOf(user),
      impersonatedUser: undefined,
      sourceIPs: sourcesOf(request),
      userAgent: request.headers["user-agent"] || undefined,
      objectRef: undefined,
    };
    this.#objectRef = refOf(request.info);
  }

  /** Whether the body of the request is recorded: making it ready costs. */
  get wantsRequest(): boolean {
    return reaches(this.#verdict.level, "Request");
  }

  received(): void {
    this.#emit("RequestReceived");
  }

  /** Whether the request waits for what is recorded of it. */
  get isAwaited(): boolean {
    return this.#sink.isAwaited;
  }

  /** Resolves once the request may be dealt with. Throws what its client is told where that it came cannot be recorded as it must be;
   *  then nothing more is. */
  async begun(): Promise<void> {
    if ((await this.#recorded) !== false) return;
    this.#isComplete = true;
    rejectedRequests.add();
    const message = "failed to store audit event";
    throw new StatusError("InternalError", message, {
      plainText: `${withoutMarkup(`Internal Server Error: ${goQuote(this.#request.uri)}: ${message}`)}\n`,
    });
  }

  impersonated(user: User): void {
    this.#impersonated = user;
  }

  /** Which object the request brings, where its path does not say. */
  names(metadata: ObjectMeta): void {
    if (!this.#objectRef) return;
    for (const field of ["namespace", "name", "uid", "resourceVersion"] as const)
      this.#objectRef[field] ||= metadata[field] || undefined;
  }

  /** What the request brings: an object, options or a patch. */
  requestObject(value: unknown): void {
    if (this.wantsRequest) this.#requestObject = this.#verdict.omitManagedFields ? withoutManagedFields(value) : value;
  }

  /** What is answered. */
  answered(answer: ApiResponse): void {
    if (answer.kind !== "object" && answer.kind !== "list") return;
    const wantsResponse = reaches(this.#verdict.level, "RequestResponse");
    if (answer.kind === "list") {
      if (wantsResponse) this.#respond(listValue(answer));
      return;
    }
    const value = answer.value() as JsonObject;
    if (value["kind"] === "Status" && value["apiVersion"] === "v1") this.#status = statusOf(value);
    if (wantsResponse) this.#respond(value);
  }

  /** A connection that lasts has begun. */
  started(code: number): void {
    this.#emit("ResponseStarted", code);
  }

  /** Who asks is not known, and so nothing more is done. */
  unauthenticated(error: StatusError): void {
    this.failed(error);
    this.#isComplete = true;
    this.#emit("ResponseStarted", error.code);
  }

  failed(error: StatusError): void {
    // Upstream records the objects that it answers with: neither plain text nor what is said to who accepts no form of it.
    if (error.options.plainText !== undefined || error.reason === "NotAcceptable") return;
    const status = error.toStatus() as unknown as JsonObject;
    this.#status = statusOf(status);
    if (reaches(this.#verdict.level, "RequestResponse")) this.#respond(status);
  }

  /** The answer has ended, with this code. */
  complete(code: number): void {
    if (this.#isComplete) return;
    this.#isComplete = true;
    this.#emit("ResponseComplete", code);
  }

  /** The answer is about to begin: resolves once it may. The client is to have the end of it only when that is recorded. */
  async answering(code: number, { lasts }: { readonly lasts: boolean }): Promise<void> {
    if (!lasts) this.complete(code);
    await this.#recorded;
  }

  #shownAnnotations(): JsonObject | undefined {
    const entries = Object.entries(this.annotations);
    const shown = entries.filter(([key]) => this.wantsRequest || !key.startsWith(patchAnnotations));
    return shown.length > 0 ? Object.fromEntries(shown) : undefined;
  }

  #respond(value: unknown): void {
    this.#responseObject = this.#verdict.omitManagedFields ? withoutManagedFields(value) : value;
  }

  #emit(stage: Stage, code?: number): void {
    this.#recorded = undefined;
    if (this.#verdict.omitStages.has(stage)) return;
    const { info } = this.#request;
    const hasAnswer = code !== undefined;
    this.#recorded = this.#sink.write({
      stage,
      level: this.#verdict.level,
      info,
      value: {
        ...this.#fields,
        stage,
        impersonatedUser: this.#impersonated && userOf(this.#impersonated),
        objectRef: this.#objectRef && { ...this.#objectRef },
        responseStatus: hasAnswer ? { metadata: {}, ...this.#status, code: this.#status?.["code"] ?? code } : undefined,
        requestObject: this.#requestObject,
        responseObject: this.#responseObject,
        requestReceivedTimestamp: this.#received,
        stageTimestamp: stage === "RequestReceived" ? this.#received : microTimeNow(),
        annotations: hasAnswer ? this.#shownAnnotations() : undefined,
      },
    });
  }
}

function userOf(user: User | undefined): JsonObject {
  if (!user) return {};
  const { name, uid, groups, extra } = user;
  return { username: name, uid, groups: groups.length > 0 ? groups : undefined, extra };
}

/** The client as proxies on the way tell it, then who is connected. */
function sourcesOf({ headers, remoteAddress }: AuditedRequest): string[] {
  const sources = (headers["x-forwarded-for"] ?? "").split(",").flatMap(addressOf);
  const [real] = addressOf(headers["x-real-ip"] ?? "");
  if (real !== undefined && !sources.includes(real)) sources.push(real);
  const [peer] = addressOf(remoteAddress ?? "");
  if (peer !== undefined && peer !== sources.at(-1)) sources.push(peer);
  return sources;
}

/** None for what is no address: whoever sends these headers writes into the log. */
function addressOf(text: string): string[] {
  const address = parseAddress(text.trim());
  return address ? [formatAddress(address)] : [];
}

function refOf({
  isResourceRequest,
  resource,
  namespace,
  name,
  group,
  version,
  subresource,
}: RequestInfo): JsonObject | undefined {
  if (!isResourceRequest) return undefined;
  return {
    resource,
    namespace,
    name,
    uid: undefined,
    apiGroup: group || undefined,
    apiVersion: version || undefined,
    resourceVersion: undefined,
    subresource,
  };
}

function statusOf({ status, message, reason, details, code }: JsonObject): JsonObject {
  return { status, message, reason, details, code };
}

/** The object, or each of a list's, without its managers; what it is made of stays shared. */
function withoutManagedFields(value: unknown): unknown {
  if (!isJsonObject(value)) return value;
  const { metadata, items } = value;
  return {
    ...value,
    ...(isJsonObject(metadata) && { metadata: { ...metadata, managedFields: undefined } }),
    ...(Array.isArray(items) && { items: items.map(withoutManagedFields) }),
  };
}

/** As upstream: nothing that looks like HTML. */
const withoutMarkup = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

/** Never back, whatever is done to the board's clock. */
const microTimeNow = (): string => rfc3339Micro(performance.timeOrigin + performance.now());
