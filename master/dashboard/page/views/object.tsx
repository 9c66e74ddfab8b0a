import { lazy, Suspense } from "preact/compat";
import { useEffect, useState } from "preact/hooks";
import { allResources, type KubeObject, nodes, objectPath, pods, type Resource } from "../api/objects.ts";
import { amountOf, historyOf } from "../api/usage.ts";
import { Actions, CordonButton } from "../parts/actions.tsx";
import { DrainButton } from "../parts/drain.tsx";
import { useClock, useObjects, useTable, useTitle, useUsage } from "../parts/hooks.ts";
import { LogView } from "../parts/log-view.tsx";
import { Empty, Fault } from "../parts/notes.tsx";
import { ResourceTable } from "../parts/resource-table.tsx";
import { Meter, Pill } from "../parts/status.tsx";
import { BoardUsageCard, PodUsageCard } from "../parts/usage-card.tsx";
import { ageOf, bytesOf } from "../parts/words.ts";
import { YamlEditor } from "../parts/yaml-editor.tsx";
import { go, listLink, objectLink, type Route } from "../route.ts";
import { EventTable } from "./events.tsx";
import { AmountMeter, type Node, PowerNotes, useBoards } from "./fleet.tsx";

// Large, and seldom needed: loaded when somebody opens one.
const ShellTerminal = lazy(() => import("../parts/terminal.tsx"));

type Place = Extract<Route, { view: "object" }>;

interface ContainerState {
  readonly waiting?: { readonly reason?: string; readonly message?: string };
  readonly running?: { readonly startedAt?: string };
  readonly terminated?: { readonly reason?: string; readonly exitCode?: number };
}
interface Pod extends KubeObject {
  readonly spec?: {
    readonly nodeName?: string;
    readonly containers: readonly { readonly name: string; readonly image?: string }[];
    readonly initContainers?: readonly { readonly name: string; readonly image?: string }[];
  };
  readonly status?: {
    readonly phase?: string;
    readonly podIP?: string;
    readonly containerStatuses?: readonly {
      readonly name: string;
      readonly ready: boolean;
      readonly restartCount: number;
      readonly state?: ContainerState;
    }[];
  };
}
interface Selecting extends KubeObject {
  readonly spec?: { readonly selector?: { readonly matchLabels?: Readonly<Record<string, string>> } };
}

/** One object: what it is, its events, its YAML; of pods also logs and a shell. */
export function ObjectView({ place }: { readonly place: Place }) {
  const [resource, setResource] = useState<Resource>();
  const [error, setError] = useState<unknown>();
  const { group, plural } = place;
  useEffect(() => {
    allResources().then((all) => {
      const found = all.find((each) => each.group === group && each.plural === plural);
      if (found) setResource(found);
      else setError(new Error("The cluster serves no such kind any more."));
    }, setError);
  }, [group, plural]);
  if (error !== undefined) return <Fault error={error} what={place.name} />;
  if (!resource || resource.plural !== plural || resource.group !== group) return <p class="faint pad">Loading…</p>;
  return <Shown key={`${group}/${plural}/${place.namespace}/${place.name}`} resource={resource} place={place} />;
}

function Shown({ resource, place }: { readonly resource: Resource; readonly place: Place }) {
  const { name, namespace } = place;
  useTitle(name);
  const { items, phase, error } = useObjects<KubeObject>(resource, {
    namespace,
    fieldSelector: `metadata.name=${name}`,
  });
  const object = items[0];
  const isPod = resource.group === "" && resource.plural === "pods";
  const isNode = resource.group === "" && resource.plural === "nodes";
  const tabs = ["Overview", ...(isPod ? ["Logs", "Terminal"] : []), "Events", "YAML"];
  const tab = tabs.find((each) => each.toLowerCase() === place.tab) ?? "Overview";
  const path = objectPath(resource, place);
  if (phase === "failed") return <Fault error={error} what={name} />;
  if (phase !== "loading" && !object)
    return (
      <Empty title={`${resource.kind} ${name} is not there`}>
        It may have been deleted. <a href={listLink(resource)}>See the others.</a>
      </Empty>
    );
  return (
    <>
      <header class="page-head">
        <p class="crumbs">
          <a href={isNode ? "#/fleet" : listLink(resource)}>{isNode ? "Fleet" : resource.plural}</a>
          {namespace && <span class="faint"> / {namespace}</span>}
        </p>
        <h1>{name}</h1>
        {object?.metadata.deletionTimestamp && <Pill word="Terminating" />}
        <span class="push">
          {isNode && (
            <>
              <CordonButton
                path={path}
                name={name}
                unschedulable={(object as Node | undefined)?.spec?.unschedulable === true}
              />{" "}
              <DrainButton path={path} name={name} />{" "}
            </>
          )}
          {object && <Actions resource={resource} metadata={object.metadata} gone={() => go(listLink(resource))} />}
        </span>
        <nav class="tabs" aria-label={`Parts of ${name}`}>
          {tabs.map((each) => (
            <a
              key={each}
              href={objectLink(resource, place, each.toLowerCase())}
              aria-current={each === tab ? "page" : undefined}
            >
              {each}
            </a>
          ))}
        </nav>
      </header>
      {tab === "Events" ? (
        <EventTable
          namespace={namespace ?? ""}
          fieldSelector={`involvedObject.kind=${resource.kind},involvedObject.name=${name}`}
          about={false}
        />
      ) : (
        <div class="scroll pad">
          {tab === "YAML" && <YamlEditor path={path} readOnly={!resource.verbs.includes("update")} />}
          {tab === "Overview" && object && <Overview resource={resource} object={object} />}
          {tab === "Logs" && object && <Logs pod={object as Pod} path={path} />}
          {tab === "Terminal" && object && <Shell pod={object as Pod} path={path} />}
        </div>
      )}
    </>
  );
}

function Overview({ resource, object }: { readonly resource: Resource; readonly object: KubeObject }) {
  useClock();
  const { plural, group } = resource;
  const selector =
    group === "apps" || group === "batch" ? (object as Selecting).spec?.selector?.matchLabels : undefined;
  return (
    <>
      {group === "" && plural === "nodes" && <NodeOverview node={object as Node} />}
      {group === "" && plural === "pods" && <PodOverview pod={object as Pod} />}
      {selector && (
        <PodsOf
          namespace={object.metadata.namespace}
          labelSelector={Object.entries(selector)
            .map((pair) => pair.join("="))
            .join(",")}
        />
      )}
      <section class="card">
        <h2>About</h2>
        <dl class="facts-list">
          <dt>Age</dt>
          <dd>{ageOf(object.metadata.creationTimestamp)}</dd>
          {object.metadata.ownerReferences?.map(({ kind, name }) => (
            <>
              <dt>Owner</dt>
              <dd>
                {kind} {name}
              </dd>
            </>
          ))}
          <dt>Labels</dt>
          <dd class="labels">
            {Object.entries(object.metadata.labels ?? {}).map(([key, value]) => (
              <code key={key}>
                {key}={value}
              </code>
            ))}
          </dd>
        </dl>
      </section>
    </>
  );
}

function PodsOf({
  namespace,
  labelSelector,
  fieldSelector,
}: {
  readonly namespace?: string | undefined;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
}) {
  const feed = useTable(pods, { namespace, labelSelector, fieldSelector });
  const selection = new URLSearchParams(labelSelector ? { labelSelector } : {});
  // The metrics API selects by labels alone.
  const usage = useUsage(namespace && labelSelector ? `namespaces/${namespace}/pods?${selection}` : "");
  return (
    <section class="card table-card">
      <h2>Pods</h2>
      <ResourceTable resource={pods} feed={feed} usage={usage} />
    </section>
  );
}

function NodeOverview({ node }: { readonly node: Node }) {
  const { name } = node.metadata;
  useUsage(`nodes/${name}`);
  const board = useBoards(name).get(name);
  return (
    <>
      <div class="columns">
        <section class="card">
          <h2>Board</h2>
          <PowerNotes board={board} unschedulable={node.spec?.unschedulable === true} />
          <AmountMeter label="Memory" amount={board?.status.memory} />
          <AmountMeter label="Disk" amount={board?.status.disk} />
          <dl class="facts-list">
            <dt>Model</dt>
            <dd>{board?.status.model ?? "–"}</dd>
            <dt>Address</dt>
            <dd>{node.status?.addresses?.find(({ type }) => type === "InternalIP")?.address ?? "–"}</dd>
            <dt>System</dt>
            <dd>{node.status?.nodeInfo?.["osImage"]}</dd>
            <dt>Up</dt>
            <dd>{ageOf(board?.status.bootTime)}</dd>
            <dt>Last heard</dt>
            <dd>{ageOf(board?.status.lastHeartbeatTime)} ago</dd>
          </dl>
        </section>
        <section class="card">
          <h2>Conditions</h2>
          <dl class="facts-list">
            {node.status?.conditions?.map(({ type, status, message }) => (
              <>
                <dt>{type}</dt>
                <dd>
                  <Pill word={status} tone={(type === "Ready") === (status === "True") ? "good" : "bad"} />{" "}
                  <span class="faint">{message}</span>
                </dd>
              </>
            ))}
          </dl>
        </section>
      </div>
      <BoardUsageCard name={name} fallback={historyOf(`nodes/${name}`)} />
      <PodsOf fieldSelector={`spec.nodeName=${name}`} />
    </>
  );
}

function PodOverview({ pod }: { readonly pod: Pod }) {
  const { name, namespace } = pod.metadata;
  const usage = useUsage(`namespaces/${namespace}/pods/${name}`);
  const now = usage?.get(`pods/${namespace}/${name}`);
  const limit = amountOf(
    (pod.spec?.containers[0] as { resources?: { limits?: { memory?: string } } } | undefined)?.resources?.limits
      ?.memory,
  );
  return (
    <>
      <section class="card">
        <h2>Containers</h2>
        <ul class="plain">
          {pod.spec?.containers.map(({ name: container, image }) => {
            const status = pod.status?.containerStatuses?.find((each) => each.name === container);
            const { waiting, running, terminated } = status?.state ?? {};
            const word = waiting?.reason ?? terminated?.reason ?? (running ? "Running" : "Pending");
            return (
              <li key={container} class="row wrap">
                <strong>{container}</strong> <Pill word={word} /> <span class="faint">{image}</span>
                <span class="faint">{status?.restartCount ? `${status.restartCount} restarts` : ""}</span>
                {waiting?.message && <span class="fault-line">{waiting.message}</span>}
              </li>
            );
          })}
        </ul>
        {now && pod.spec?.containers.length === 1 && limit > 0 && (
          <Meter
            label="Memory of its limit"
            part={now.memory_bytes / limit}
            text={`${bytesOf(now.memory_bytes)} of ${bytesOf(limit)}`}
          />
        )}
        <dl class="facts-list">
          <dt>Board</dt>
          <dd>
            {pod.spec?.nodeName ? (
              <a href={objectLink(nodes, { name: pod.spec.nodeName })}>{pod.spec.nodeName}</a>
            ) : (
              "none yet"
            )}
          </dd>
          <dt>Address</dt>
          <dd>{pod.status?.podIP ?? "–"}</dd>
        </dl>
      </section>
      <PodUsageCard name={name} points={historyOf(`pods/${namespace}/${name}`)} />
    </>
  );
}

function containersOf({ spec }: Pod): string[] {
  return [...(spec?.containers ?? []), ...(spec?.initContainers ?? [])].map(({ name }) => name);
}

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

function Logs({ pod, path }: { readonly pod: Pod; readonly path: string }) {
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

function Shell({ pod, path }: { readonly pod: Pod; readonly path: string }) {
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
