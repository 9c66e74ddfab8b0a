/** A server behind proxies that shows what comes to it, and answers as its paths say. Over plain TCP, so that nothing is hidden. */
import { createServer, type Server, type Socket } from "node:net";
import { gzipSync } from "node:zlib";

export interface Backing {
  readonly port: number;
  stop(): void;
}

const links = [
  '<a href="/root?a=b#c">',
  '<a href="relative/x">',
  '<a href="http://HOST/own">',
  '<a href="https://other.example/x">',
  '<a href="//HOST/x">',
  '<a href="#only">',
  '<a href="">',
  '<img src="/image.png" longdesc="/long">',
  '<form action="/post"></form>',
  '<link href="/style.css">',
  '<script src="/script.js"></script>',
  '<body background="/back.png">',
  '<div href="/not-a-link">',
].join("\n");

const answer = (status: string, headers: readonly string[], body: string | Buffer): Buffer =>
  Buffer.concat([
    Buffer.from([`HTTP/1.1 ${status}`, ...headers, `Content-Length: ${Buffer.byteLength(body)}`, "", ""].join("\r\n")),
    Buffer.from(body),
  ]);

const redirecting = (location: string): Buffer => answer("302 Found", [`Location: ${location}`, "X-Own: yes"], "moved");

const html = ["Content-Type: text/html; charset=utf-8"];

/** By path, without its query; HOST is the server's own. undefined: the connection is closed. */
function answerTo(path: string, head: string, body: string, host: string): Buffer | undefined {
  const page = links.replaceAll("HOST", host);
  switch (path) {
    case "/to-root":
      return redirecting("/root?a=b#c");
    case "/to-own":
      return redirecting(`http://${host}/own`);
    case "/to-other":
      return redirecting("http://other.example/x");
    case "/to-relative":
      return redirecting("other/x");
    case "/to-nothing":
      return redirecting("");
    case "/page":
      return answer("200 OK", html, page);
    case "/page-in-gzip":
      return answer("200 OK", [...html, "Content-Encoding: gzip"], gzipSync(page));
    case "/page-in-br":
      return answer("200 OK", [...html, "Content-Encoding: br"], "not read");
    case "/page-missing":
      return answer("404 Not Found", html, page);
    case "/text":
      return answer("200 OK", ["Content-Type: text/plain"], page);
    case "/hops":
      return answer(
        "200 OK",
        [
          "Connection: X-Hop",
          "X-Hop: 1",
          "Keep-Alive: timeout=5",
          "Proxy-Authenticate: Basic",
          "Proxy-Connection: keep-alive",
          "Te: trailers",
          "Upgrade: other",
          "Set-Cookie: a=b",
          "Set-Cookie: c=d",
          "Server: own",
          "Cache-Control: no-store",
          "Warning: 299 - own",
          "Audit-Id: own",
        ],
        "hops",
      );
    case "/chunks":
      return Buffer.from("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
    case "/until-end":
      return Buffer.from("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nuntil the end");
    case "/nothing":
      return Buffer.from("HTTP/1.1 204 No Content\r\nX-Own: yes\r\n\r\n");
    case "/failing":
      return answer("500 Internal Server Error", ["Content-Type: text/plain"], "failed");
    case "/unchanged":
      return Buffer.from('HTTP/1.1 304 Not Modified\r\nEtag: "a"\r\n\r\n');
    case "/garbage":
      return Buffer.from("this is no HTTP\r\n\r\n");
    case "/close":
      return undefined;
    case "/upgrade":
      return Buffer.from(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: own\r\nX-Own: yes\r\n\r\nwelcome",
      );
    case "/refuse-upgrade":
      return answer("403 Forbidden", ["Content-Type: text/plain", "X-Own: yes"], "no");
    case "/ignore-upgrade":
      return answer("200 OK", ["Content-Type: text/plain"], "no upgrade");
    default:
      return answer("200 OK", ["Content-Type: application/json"], JSON.stringify({ head: head.split("\r\n"), body }));
  }
}

export async function startBacking(listensAt: string, address: string): Promise<Backing> {
  const connections = new Set<Socket>();
  let host = "";
  const server: Server = createServer((socket) => {
    connections.add(socket);
    socket.on("error", () => undefined).on("close", () => connections.delete(socket));
    let received = "";
    socket.on("data", (chunk) => {
      received += chunk.toString("latin1");
      const [head = "", ...rest] = received.split("\r\n\r\n");
      if (rest.length === 0 || !isWhole(head, rest.join("\r\n\r\n"))) return;
      received = "";
      const [, target = ""] = head.split(" ");
      const bytes = answerTo(target.split("?")[0] ?? "", head, rest.join("\r\n\r\n"), host);
      if (bytes) socket.write(bytes);
      if (!bytes || /until-end|garbage/.test(target)) socket.end();
    });
  });
  await new Promise<void>((done) => server.listen(0, listensAt, done));
  const { port } = server.address() as { port: number };
  host = `${address}:${port}`;
  return {
    port,
    stop() {
      server.close();
      for (const socket of connections) socket.destroy();
    },
  };
}

function isWhole(head: string, body: string): boolean {
  const [, length] = /content-length: (\d+)/i.exec(head) ?? [];
  if (length !== undefined) return body.length >= Number(length);
  return !/transfer-encoding: chunked/i.test(head) || body.endsWith("0\r\n\r\n");
}
