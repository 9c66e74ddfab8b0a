import { lazy, Suspense } from "preact/compat";
import { useState } from "preact/hooks";
import { containersOf, type Pod } from "../api/pod.ts";
import { LogView } from "../parts/log-view.tsx";
import { Empty } from "../parts/notes.tsx";

// Large, and seldom needed: loaded when somebody opens one.
const ShellTerminal = lazy(() => import("../parts/terminal.tsx"));

function ContainerChoice({
  pod,
  value,
  choose,
}: {
  readonly pod: Pod;
  readonly value: string;
  choose(name: string): void;
}) {
  return (
    <label class="field inline">
      <span>Container</span>
      <select value={value} onChange={(event) => choose(event.currentTarget.value)}>
        {containersOf(pod).map((each) => (
          <option key={each}>{each}</option>
        ))}
      </select>
    </label>
  );
}

/** The log of one of a pod's containers, which is chosen here. */
export function Logs({ pod, path }: { readonly pod: Pod; readonly path: string }) {
  const [container, setContainer] = useState(containersOf(pod)[0] ?? "");
  const [previous, setPrevious] = useState(false);
  return (
    <>
      <div class="row wrap">
        <ContainerChoice pod={pod} value={container} choose={setContainer} />
        <label class="check">
          <input type="checkbox" checked={previous} onChange={(event) => setPrevious(event.currentTarget.checked)} />
          Before its last restart
        </label>
      </div>
      <LogView podPath={path} container={container} previous={previous} />
    </>
  );
}

/** A shell in one of a pod's containers. */
export function Shell({ pod, path }: { readonly pod: Pod; readonly path: string }) {
  const [container, setContainer] = useState(containersOf(pod)[0] ?? "");
  if (pod.status?.phase !== "Running")
    return <Empty title="The pod does not run">A shell needs a container that runs.</Empty>;
  return (
    <>
      {containersOf(pod).length > 1 && <ContainerChoice pod={pod} value={container} choose={setContainer} />}
      <Suspense fallback={<p class="faint">Loading the terminal…</p>}>
        <ShellTerminal podPath={path} container={container} />
      </Suspense>
    </>
  );
}
