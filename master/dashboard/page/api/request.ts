import { currentToken, signOut } from "./session.ts";

interface StatusBody {
  readonly message?: string;
  readonly reason?: string;
  readonly code?: number;
  readonly details?: {
    readonly causes?: readonly { readonly field?: string; readonly message?: string; readonly reason?: string }[];
  };
}

/** What the API server refused, in its own words. */
export class ApiError extends Error {
  constructor(
    readonly code: number,
    readonly status: StatusBody,
  ) {
    super(status.message ?? `the API server answered ${code}`);
  }

  get isForbidden(): boolean {
    return this.code === 403;
  }

  get isMissing(): boolean {
    return this.code === 404;
  }
}

export interface RequestOptions {
  readonly method?: string;
  readonly accept?: string;
  readonly contentType?: string;
  readonly body?: string;
  readonly signal?: AbortSignal;
  /** Tried before anybody is signed in with it. */
  readonly token?: string;
}

/** A request of the Kubernetes API as the one who signed in. Throws ApiError; ends the session when its token is no longer good. */
export async function request(path: string, options: RequestOptions = {}): Promise<Response> {
  const token = options.token ?? currentToken();
  const headers: Record<string, string> = { accept: options.accept ?? "application/json" };
  if (token !== undefined) headers["authorization"] = `Bearer ${token}`;
  if (options.contentType) headers["content-type"] = options.contentType;
  let response: Response;
  try {
    response = await fetch(path, {
      method: options.method ?? "GET",
      headers,
      credentials: "omit",
      cache: "no-store",
      ...(options.body === undefined ? {} : { body: options.body }),
      ...(options.signal ? { signal: options.signal } : {}),
    });
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw new ApiError(0, { message: "The master cannot be reached. Is it on, and are you on its network?" });
  }
  if (response.ok) return response;
  const error = new ApiError(response.status, await statusOf(response));
  if (response.status === 401 && options.token === undefined)
    signOut("Your token is no longer accepted: it has expired or was revoked. Sign in with a new one.");
  throw error;
}

async function statusOf(response: Response): Promise<StatusBody> {
  const text = await response.text();
  try {
    return JSON.parse(text) as StatusBody;
  } catch {
    return { message: text || response.statusText };
  }
}

export async function getJson<T>(path: string, options: RequestOptions = {}): Promise<T> {
  return (await (await request(path, options)).json()) as T;
}

export function patch(path: string, body: object, type = "application/merge-patch+json"): Promise<Response> {
  return request(path, { method: "PATCH", contentType: type, body: JSON.stringify(body) });
}

/** Words for a person: what went wrong, and what to do about it. */
export function explain(error: unknown): string {
  if (!(error instanceof ApiError)) return error instanceof Error ? error.message : String(error);
  if (error.isForbidden)
    return `You may not do this: ${error.message}. Ask whoever administers the cluster for the right.`;
  if (error.code === 409) return `Somebody changed it meanwhile: ${error.message}`;
  return error.message;
}
