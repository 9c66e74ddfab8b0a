import { type AddressInfo, connect, createServer, type Socket } from "node:net";

export interface SocksAnswers {
  /** To the offer of methods, to who signs in, and to what is asked for: bytes, of which each is sent by itself. */
  readonly method: readonly number[];
  readonly login?: readonly number[];
  readonly reply: readonly number[];
}

export interface SocksProxy {
  readonly port: number;
  /** What it was told, in hexadecimal. */
  readonly told: string[];
  stop(): void;
}

/** A SOCKS5 proxy that gives the answers it is given to, and leads to a port of this machine whatever it is asked for. */
export async function startSocksProxy(answers: () => SocksAnswers, leadsTo: () => number): Promise<SocksProxy> {
  const told: string[] = [];
  const server = createServer((socket) => {
    serve(socket, answers(), leadsTo, told).catch(() => socket.destroy());
    socket.on("error", () => socket.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { port: (server.address() as AddressInfo).port, told, stop: () => void server.close() };
}

async function serve(
  socket: Socket,
  { method, login, reply }: SocksAnswers,
  leadsTo: () => number,
  told: string[],
): Promise<void> {
  for (const answer of login ? [method, login, reply] : [method, reply]) {
    const said = await new Promise<Buffer>((resolve) => void socket.once("data", resolve));
    told.push(said.toString("hex"));
    for (const byte of answer) socket.write(Buffer.from([byte]));
    if (answer.length < 2 || answer[1] === 0xff) {
      socket.end();
      return;
    }
  }
  if (reply[1] !== 0) return;
  const onward = connect(leadsTo(), "127.0.0.1");
  socket.pipe(onward).pipe(socket);
  onward.on("error", () => socket.destroy()).on("close", () => socket.destroy());
  socket.on("close", () => onward.destroy());
}
