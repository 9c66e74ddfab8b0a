/** A URL below a server parted into its path, escapes and all, and its query as Go reads it. */
export function splitUrl(url: string): { path: string; query: URLSearchParams } {
  const at = url.indexOf("?");
  return at < 0
    ? { path: url, query: new URLSearchParams() }
    : { path: url.slice(0, at), query: new URLSearchParams(readable(url.slice(at + 1))) };
}

/** A query without the parameters that Go's parser does not read: with a semicolon, or with an escape that is none. */
function readable(query: string): string {
  if (!unreadable.test(query)) return query;
  return query
    .split("&")
    .filter((parameter) => !unreadable.test(parameter))
    .join("&");
}

const unreadable = /;|%(?![\da-f]{2})/i;
