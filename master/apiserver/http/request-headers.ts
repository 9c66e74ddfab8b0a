import type { ApiRequest } from "../server.ts";
import { impersonationPrefix, repeatedHeaderSeparator } from "./access.ts";
import type { HttpRequest } from "./arrival.ts";

type Headers = Pick<HttpRequest, "headers" | "rawHeaders">;

/** Each header as one text. */
export function headersOf(request: Headers): ApiRequest["headers"] {
  const headers: Record<string, string | undefined> = {};
  for (const name in request.headers) {
    const value = request.headers[name];
    headers[name] = name.startsWith(impersonationPrefix)
      ? rawValues(request, name).join(repeatedHeaderSeparator)
      : Array.isArray(value)
        ? value.join(", ")
        : value;
  }
  return headers;
}

/** Of a header that may come several times, and whose values may hold commas. */
function rawValues({ rawHeaders }: Headers, name: string): string[] {
  return rawHeaders.filter((_, index) => index % 2 === 1 && rawHeaders[index - 1]?.toLowerCase() === name);
}
