import { RuntimeError, type RuntimeErrorKind } from "./runtime.ts";

/** Runs one request to Docker; whatever it rejects with becomes a RuntimeError. */
export async function asRuntime<T>(what: string, request: () => Promise<T>, notFound?: RuntimeErrorKind): Promise<T> {
  try {
    return await request();
  } catch (error) {
    throw toRuntimeError(what, error, notFound);
  }
}

/** As `asRuntime`, but undefined where Docker says 404. */
export async function ifFound<T>(what: string, request: () => Promise<T>): Promise<T | undefined> {
  try {
    return await request();
  } catch (error) {
    if (statusCodeOf(error) === 404 || isVanished(error)) return undefined;
    throw toRuntimeError(what, error);
  }
}

/** Podman says 500 of a container that goes while it is asked about, or while all are listed. */
export function isVanished(error: unknown): boolean {
  return statusCodeOf(error) === 500 && /no such container/.test(dockerMessage(error));
}

/** As `asRuntime`, but content where Docker answers with one of `codes` (404: already gone, 304: already so). */
export async function unless(codes: readonly number[], what: string, request: () => Promise<unknown>): Promise<void> {
  try {
    await request();
  } catch (error) {
    const code = statusCodeOf(error);
    if (code === undefined || !codes.includes(code)) throw toRuntimeError(what, error);
  }
}

export function toRuntimeError(what: string, error: unknown, notFound: RuntimeErrorKind = "not-found"): RuntimeError {
  if (error instanceof RuntimeError) return error;
  const code = statusCodeOf(error);
  const message = `${what}: ${dockerMessage(error)}`;
  // No HTTP status: the socket could not be reached, or the connection broke.
  if (code === undefined) return new RuntimeError("unavailable", message + adviceOn(error), { cause: error });
  return new RuntimeError(code === 404 ? notFound : "other", message, { cause: error });
}

/** Where nobody listens at the socket, what a person may do. */
function adviceOn(error: unknown): string {
  const { code = "" } = (error ?? {}) as { readonly code?: unknown };
  const isNobodyThere = ["ENOENT", "ECONNREFUSED", "EACCES"].includes(String(code));
  return isNobodyThere ? "; is Docker running? `sudo bramble check` says how to mend it" : "";
}

/** What a registry's refusal means, by the wordings of Docker 20.10 to 28 and of registries. */
export function pullErrorKind(message: string): RuntimeErrorKind {
  if (/no matching manifest for|does not match the specified platform/i.test(message)) return "image-wrong-platform";
  if (/no basic auth credentials|unauthorized|authentication required|access forbidden/i.test(message)) {
    return "image-unauthorized";
  }
  if (/manifest unknown|name unknown|not found|repository does not exist|no such image/i.test(message)) {
    return "image-not-found";
  }
  if (/\bdenied\b|forbidden/i.test(message)) return "image-unauthorized";
  if (
    /dial tcp|no such host|i\/o timeout|connection re(fused|set)|TLS handshake|x509:|deadline exceeded|EOF$|network is unreachable|no route to host|Client\.Timeout|server gave HTTP response/i.test(
      message,
    )
  ) {
    return "registry-unreachable";
  }
  return "other";
}

export function statusCodeOf(error: unknown): number | undefined {
  if (typeof error !== "object" || error === null || !("statusCode" in error)) return undefined;
  return typeof error.statusCode === "number" ? error.statusCode : undefined;
}

/** Docker's own words, without the HTTP dressing that dockerode puts around them. */
export function dockerMessage(error: unknown): string {
  if (typeof error === "object" && error !== null && "json" in error) {
    const { json } = error;
    if (typeof json === "object" && json !== null && "message" in json && typeof json.message === "string") {
      return json.message.trim();
    }
  }
  const text = error instanceof Error ? error.message.trim() : String(error);
  return text.replace(/^\(HTTP code \d+\) [^-]*- /, "");
}
