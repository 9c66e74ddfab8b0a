/** A request as it goes on its way, redirected or not. */
export interface Hop<B> {
  readonly method: string;
  readonly url: URL;
  /** Absent: none. */
  readonly body?: B | undefined;
}

/** Requests at most, the first one too. */
export const mostHops = 10;

/**
 * Where an answer sends its request, as Go's net/http client goes there, and so upstream's clients of webhooks: undefined
 * when it is an answer for good. After 301, 302 and 303 only reading is left, after 307 and 308 the same is asked again.
 * Throws Error for a Location that is none, or of another protocol.
 */
export function redirected<B>(hop: Hop<B>, status: number, location: string | undefined): Hop<B> | undefined {
  // Some servers answer so without saying where.
  if (![301, 302, 303, 307, 308].includes(status) || !location) return undefined;
  let url: URL;
  try {
    url = new URL(location, hop.url);
  } catch (error) {
    throw new Error(`failed to parse Location header ${JSON.stringify(location)}: ${(error as Error).message}`);
  }
  // The engine's fetch would read a file of this machine, too.
  if (!isWeb(url)) throw new Error(`unsupported protocol scheme ${JSON.stringify(url.protocol.slice(0, -1))}`);
  if (url.hash === "") url.hash = hop.url.hash;
  if (status >= 307) return { ...hop, url };
  return { method: hop.method === "HEAD" ? "HEAD" : "GET", url };
}

/** Whether HTTP leads there. Whoever goes where another says must ask this: there are URLs of files and of data. */
export const isWeb = ({ protocol }: URL): boolean => protocol === "http:" || protocol === "https:";
