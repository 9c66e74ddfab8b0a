/** One request by each version of HTTP that the API server speaks, so that tests can ask for the same of both. */
import { once } from "node:events";
import { connect, type IncomingHttpHeaders } from "node:http2";
import { request as requestByHttp1 } from "node:https";

export const protocols = ["HTTP/1.1", "HTTP/2"] as const;
export type Protocol = (typeof protocols)[number];

export interface Asked {
  readonly method?: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string | string[]>>;
  readonly body?: string | Buffer;
}

export interface Answered {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
}

/** A server, and who asks there; PEM. */
export interface Place {
  readonly url: string;
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

/** Asks over a connection of its own, and waits for the whole answer. */
export const askBy = (protocol: Protocol, place: Place, asked: Asked): Promise<Answered> =>
  protocol === "HTTP/2" ? byHttp2(place, asked) : byHttp1(place, asked);

function byHttp1({ url, ...credentials }: Place, { method = "GET", path, headers, body }: Asked): Promise<Answered> {
  return new Promise((resolve, reject) => {
    const request = requestByHttp1(`${url}${path}`, { ...credentials, method, headers: { ...headers }, agent: false });
    request.on("error", reject);
    request.on("response", (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("end", () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks) }),
      );
      response.on("error", reject);
    });
    request.end(body);
  });
}

async function byHttp2({ url, ...credentials }: Place, asked: Asked): Promise<Answered> {
  const { method = "GET", path, headers, body } = asked;
  const session = connect(url, credentials);
  session.on("error", () => session.destroy());
  try {
    const stream = session.request({ ...headers, ":method": method, ":path": path }, { endStream: body === undefined });
    if (body !== undefined) stream.end(body);
    const chunks: Buffer[] = [];
    stream.on("data", (chunk: Buffer) => chunks.push(chunk));
    const [answer] = (await once(stream, "response")) as [IncomingHttpHeaders & { ":status"?: number }];
    if (!stream.readableEnded) await once(stream, "end");
    return { status: answer[":status"] ?? 0, headers: answer, body: Buffer.concat(chunks) };
  } finally {
    session.destroy();
  }
}
