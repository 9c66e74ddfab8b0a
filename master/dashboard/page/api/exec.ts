import { currentToken } from "./session.ts";

export interface Shell {
  write(data: string): void;
  resize(columns: number, rows: number): void;
  close(): void;
}

export interface ShellHandlers {
  output(data: Uint8Array): void;
  /** The session is over; `message` says why where there was a reason. */
  ended(message: string): void;
}

const channel = { stdin: 0, error: 3, resize: 4 } as const;

/** Runs a command with a terminal in a container: v5.channel.k8s.io over a WebSocket. */
export function openShell(
  podPath: string,
  container: string,
  command: readonly string[],
  handlers: ShellHandlers,
): Shell {
  const query = new URLSearchParams({ container, stdin: "true", stdout: "true", stderr: "false", tty: "true" });
  for (const word of command) query.append("command", word);
  // A browser's WebSocket has no headers of its own: the token goes as a subprotocol.
  const bearer = `base64url.bearer.authorization.k8s.io.${base64url(currentToken() ?? "")}`;
  const url = new URL(`${podPath}/exec?${query}`, location.href);
  url.protocol = "wss:";
  const socket = new WebSocket(url, ["v5.channel.k8s.io", bearer]);
  socket.binaryType = "arraybuffer";
  const encoder = new TextEncoder();
  let verdict = "";
  const send = (number: number, text: string): void => {
    if (socket.readyState === WebSocket.OPEN) socket.send(new Uint8Array([number, ...encoder.encode(text)]));
  };
  socket.onmessage = ({ data }: MessageEvent<ArrayBuffer>) => {
    const bytes = new Uint8Array(data);
    const payload = bytes.subarray(1);
    if (bytes[0] === channel.error) verdict = verdictOf(new TextDecoder().decode(payload));
    else if (payload.length > 0) handlers.output(payload);
  };
  socket.onclose = ({ wasClean }) => {
    const refused = "The connection ended. Does the container run, and may you exec into its pod?";
    handlers.ended(verdict || (wasClean ? "The session has ended." : refused));
  };
  return {
    write: (data) => send(channel.stdin, data),
    resize: (columns, rows) => send(channel.resize, JSON.stringify({ Width: columns, Height: rows })),
    close: () => socket.close(),
  };
}

function verdictOf(text: string): string {
  const status = JSON.parse(text) as { status?: string; message?: string };
  return status.status === "Success" ? "The session has ended." : (status.message ?? "The session has ended.");
}

function base64url(text: string): string {
  return btoa(text).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}
