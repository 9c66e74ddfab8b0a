import { FitAddon } from "@xterm/addon-fit";
import { Terminal } from "@xterm/xterm";
import { useEffect, useRef, useState } from "preact/hooks";
import { openShell } from "../api/exec.ts";

/** Bash where the image has one. */
const shell = ["sh", "-c", "command -v bash >/dev/null 2>&1 && exec bash || exec sh"];

allowOwnStyles();

/** A shell in a container. */
export default function ShellTerminal({
  podPath,
  container,
}: {
  readonly podPath: string;
  readonly container: string;
}) {
  const holder = useRef<HTMLDivElement>(null);
  const [ended, setEnded] = useState("");
  const [round, setRound] = useState(0);
  useEffect(() => {
    const element = holder.current;
    if (!element) return;
    setEnded("");
    const terminal = new Terminal({
      cursorBlink: !matchMedia("(prefers-reduced-motion: reduce)").matches,
      fontSize: 13,
      fontFamily: "ui-monospace, SFMono-Regular, Menlo, Consolas, monospace",
      scrollback: 2_000,
      screenReaderMode: true,
      theme: { background: "#16121a", foreground: "#e8e3ec", cursor: "#e6a6d0", selectionBackground: "#5b3a5366" },
    });
    const fit = new FitAddon();
    terminal.loadAddon(fit);
    terminal.open(element);
    fit.fit();
    const session = openShell(podPath, container, shell, {
      output: (data) => terminal.write(data),
      ended: (message) => {
        terminal.options.cursorBlink = false;
        setEnded(message);
      },
    });
    terminal.onData((data) => session.write(data));
    terminal.onResize(({ cols, rows }) => session.resize(cols, rows));
    // The size counts from the moment the session stands.
    const first = setTimeout(() => session.resize(terminal.cols, terminal.rows), 300);
    const observer = new ResizeObserver(() => fit.fit());
    observer.observe(element);
    terminal.focus();
    return () => {
      clearTimeout(first);
      observer.disconnect();
      session.close();
      terminal.dispose();
    };
  }, [podPath, container, round]);
  return (
    <div class="terminal">
      <div class="terminal-screen" ref={holder} />
      <div class="row" role="status">
        {ended ? (
          <>
            <span>{ended}</span>
            <button type="button" onClick={() => setRound(round + 1)}>
              Open another
            </button>
          </>
        ) : (
          <span class="faint">A shell in {container}. Leave it with exit or Ctrl+D.</span>
        )}
      </div>
    </div>
  );
}

/** The terminal makes style sheets of its own; the page's policy lets in those that carry its nonce. */
function allowOwnStyles(): void {
  const nonce = document.querySelector<HTMLMetaElement>('meta[name="style-nonce"]')?.content ?? "";
  const create = document.createElement.bind(document);
  document.createElement = ((name: string, options?: ElementCreationOptions): HTMLElement => {
    const element = create(name, options);
    if (name.toLowerCase() === "style") element.setAttribute("nonce", nonce);
    return element;
  }) as typeof document.createElement;
}
