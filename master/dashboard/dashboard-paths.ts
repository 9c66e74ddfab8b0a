import { randomBytes } from "node:crypto";
import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import { methodNotAllowed, StatusError } from "#shared/api/errors.ts";
import type { ApiResponse, RequestContext } from "../apiserver/request.ts";
import type { PathAnswer } from "../apiserver/server-parts.ts";
import { PagePack } from "./page-pack.ts";

const dashboardPath = "/dashboard";

const decompress = promisify(gunzip);
/** In index.html; a new one in each answer. */
const noncePlaceholder = "{{nonce}}";

/**
 * The page's files, open to everybody: they hold nothing of the cluster. What the page shows it asks of the API with the
 * token of whoever signed in, so that person sees what RBAC lets them see.
 */
export function dashboardPaths(): {
  readonly exact: Readonly<Record<string, PathAnswer>>;
  readonly prefixes: Readonly<Record<string, PathAnswer>>;
} {
  let found: Promise<PagePack | undefined> | undefined;
  const pack = (): Promise<PagePack | undefined> => {
    found ??= PagePack.find();
    return found;
  };
  return {
    exact: { [dashboardPath]: async () => toPage },
    prefixes: { [`${dashboardPath}/`]: async (context) => serve(context, await pack()) },
  };
}

/** Relative links of the page need the slash. */
const toPage: ApiResponse = {
  kind: "bytes",
  code: 301,
  contentType: "text/plain",
  headers: { location: `${dashboardPath}/` },
  body: "",
};

async function serve(context: RequestContext, pack: PagePack | undefined): Promise<ApiResponse> {
  const { method, info, headers } = context;
  if (method !== "GET" && method !== "HEAD")
    throw methodNotAllowed({ group: "", plural: "dashboard" }, method.toLowerCase());
  if (!pack) throw new StatusError("NotFound", "this build has no dashboard: `npm run build` makes one that has it");
  const file = pack.file(info.path.slice(dashboardPath.length + 1) || "index.html");
  if (!file) throw new StatusError("NotFound", "the dashboard has no such file");
  const common = { ...securityHeaders, etag: file.etag };
  if (file.path === "index.html") {
    const nonce = randomBytes(16).toString("base64url");
    const page = (await decompress(await pack.read(file))).toString().replaceAll(noncePlaceholder, nonce);
    return {
      kind: "bytes",
      code: 200,
      contentType: file.contentType,
      headers: { ...securityHeaders, "cache-control": "no-store", "content-security-policy": contentPolicy(nonce) },
      body: method === "HEAD" ? "" : page,
    };
  }
  // A browser asks each time whether it still is the same: a master that was upgraded serves another page.
  if (headers["if-none-match"] === file.etag)
    return { kind: "bytes", code: 304, contentType: file.contentType, headers: common, body: "" };
  const bytes = await pack.read(file);
  const takesGzip = /\bgzip\b/.test(headers["accept-encoding"] ?? "");
  return {
    kind: "bytes",
    code: 200,
    contentType: file.contentType,
    headers: { ...common, vary: "accept-encoding", ...(takesGzip ? { "content-encoding": "gzip" } : {}) },
    body: method === "HEAD" ? "" : takesGzip ? bytes : await decompress(bytes),
  };
}

const securityHeaders = {
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
  "referrer-policy": "no-referrer",
  "cross-origin-opener-policy": "same-origin",
  "permissions-policy": "camera=(), geolocation=(), microphone=()",
  "cache-control": "no-cache",
} as const;

/** Nothing from elsewhere, nothing inline; the terminal's own style sheets carry the nonce. */
function contentPolicy(nonce: string): string {
  return [
    "default-src 'none'",
    "script-src 'self'",
    `style-src 'self' 'nonce-${nonce}'`,
    "img-src 'self' data:",
    "font-src 'self'",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join("; ");
}
