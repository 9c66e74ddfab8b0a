import { useEffect, useRef, useState } from "preact/hooks";
import { linesOf } from "../api/line-stream.ts";
import { explain, request } from "../api/request.ts";

const linesKept = 5_000;
/** At once, so that not every line moves all others. */
const linesDropped = 500;
const lineHeight_px = 18;
const spare = 30;
const firstLines = 500;
const showEvery_ms = 150;

/** A container's log as it grows: the last lines, of which only those that are seen are in the page. */
export function LogView({
  podPath,
  container,
  previous,
}: {
  readonly podPath: string;
  readonly container: string;
  readonly previous: boolean;
}) {
  const [search, setSearch] = useState("");
  const [follow, setFollow] = useState(true);
  const [times, setTimes] = useState(false);
  const { lines, state } = useLog({ podPath, container, previous, times });
  const wanted = search.toLowerCase();
  const shown = wanted === "" ? lines : lines.filter((line) => line.toLowerCase().includes(wanted));
  return (
    <div class="log">
      <div class="row wrap">
        <label class="field inline">
          <span class="hidden">Search in the log</span>
          <input
            type="search"
            placeholder="Search in the log"
            value={search}
            onInput={(event) => setSearch(event.currentTarget.value)}
          />
        </label>
        <label class="check">
          <input type="checkbox" checked={follow} onChange={(event) => setFollow(event.currentTarget.checked)} />
          Follow
        </label>
        <label class="check">
          <input type="checkbox" checked={times} onChange={(event) => setTimes(event.currentTarget.checked)} />
          Times
        </label>
        <button type="button" disabled={lines.length === 0} onClick={() => download(`${container}.log`, lines)}>
          Download
        </button>
        <span class="faint push" role="status">
          {wanted === "" ? state : `${shown.length} of ${lines.length} lines`}
        </span>
      </div>
      <Lines lines={shown} follow={follow} onScrollUp={() => setFollow(false)} />
    </div>
  );
}

interface LogSource {
  readonly podPath: string;
  readonly container: string;
  /** Of the container before its last restart, which does not grow. */
  readonly previous: boolean;
  /** Whether each line begins with its time. */
  readonly times: boolean;
}

/** The last lines of a log, followed as long as they are shown, and in words what there is to say of it. */
function useLog({ podPath, container, previous, times }: LogSource): {
  readonly lines: readonly string[];
  readonly state: string;
} {
  const [lines, setLines] = useState<readonly string[]>([]);
  const [state, setState] = useState("");
  useEffect(() => {
    const aborter = new AbortController();
    const kept: string[] = [];
    let timer: ReturnType<typeof setTimeout> | undefined;
    const show = (): void => {
      timer = undefined;
      setLines([...kept]);
    };
    setLines([]);
    setState("Waiting for the log…");
    const read = async (): Promise<void> => {
      const query = new URLSearchParams({
        container,
        tailLines: String(firstLines),
        follow: String(!previous),
        previous: String(previous),
        timestamps: String(times),
      });
      const answer = await request(`${podPath}/log?${query}`, { accept: "*/*", signal: aborter.signal });
      setState(previous ? "" : "Live");
      for await (const line of linesOf(answer)) {
        kept.push(line);
        if (kept.length > linesKept) kept.splice(0, kept.length - linesKept + linesDropped);
        timer ??= setTimeout(show, showEvery_ms);
      }
      setState(previous ? "" : "The container has ended.");
    };
    read().catch((error: unknown) => {
      if (!aborter.signal.aborted) setState(explain(error));
    });
    return () => {
      aborter.abort();
      clearTimeout(timer);
    };
  }, [podPath, container, previous, times]);
  return { lines, state };
}

interface LinesProps {
  readonly lines: readonly string[];
  readonly follow: boolean;
  onScrollUp(): void;
}

function Lines({ lines, follow, onScrollUp }: LinesProps) {
  const scroller = useRef<HTMLElement>(null);
  const [view, setView] = useState({ top: 0, height: 400 });
  useEffect(() => {
    const element = scroller.current;
    if (element && follow) element.scrollTop = element.scrollHeight;
  }, [lines, follow]);
  const look = (): void => {
    const element = scroller.current;
    if (!element) return;
    if (follow && element.scrollTop < view.top && element.scrollHeight - element.scrollTop - element.clientHeight > 40)
      onScrollUp();
    setView({ top: element.scrollTop, height: element.clientHeight });
  };
  const first = Math.max(0, Math.floor(view.top / lineHeight_px) - spare);
  const last = Math.min(lines.length, Math.ceil((view.top + view.height) / lineHeight_px) + spare);
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keyboard.
    <section class="log-lines" ref={scroller} onScroll={look} tabIndex={0} aria-label="Log">
      <div style={{ height: `${lines.length * lineHeight_px}px` }}>
        <pre style={{ transform: `translateY(${first * lineHeight_px}px)` }}>{lines.slice(first, last).join("\n")}</pre>
      </div>
    </section>
  );
}

function download(name: string, lines: readonly string[]): void {
  const url = URL.createObjectURL(new Blob([`${lines.join("\n")}\n`], { type: "text/plain" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  URL.revokeObjectURL(url);
}
