import { useEffect, useState } from "preact/hooks";
import { allResources, type KubeObject, objectPath, type Resource } from "../api/objects.ts";
import type { Pod } from "../api/pod.ts";
import { Actions, CordonButton } from "../parts/actions.tsx";
import { DrainButton } from "../parts/drain.tsx";
import { useObjects, useTitle } from "../parts/hooks.ts";
import { Empty, Fault } from "../parts/notes.tsx";
import { Pill } from "../parts/status.tsx";
import { YamlEditor } from "../parts/yaml-editor.tsx";
import { go, listLink, objectLink, type Route } from "../route.ts";
import { EventTable } from "./events.tsx";
import type { Node } from "./fleet.tsx";
import { Overview } from "./object-overview.tsx";
import { Logs, Shell } from "./pod-streams.tsx";

type Place = Extract<Route, { view: "object" }>;

/** One object: what it is, its events, its YAML; of pods also logs and a shell. Made anew for another kind. */
export function ObjectView({ place }: { readonly place: Place }) {
  const { group, plural, namespace, name } = place;
  const found = useResource(group, plural);
  if (found === undefined) return <p class="faint pad">Loading…</p>;
  if ("error" in found) return <Fault error={found.error} what={name} />;
  return <Shown key={`${group}/${plural}/${namespace}/${name}`} resource={found.resource} place={place} />;
}

type Found = { readonly resource: Resource } | { readonly error: unknown };

/** The resource as the cluster serves it now; undefined until it is known. */
function useResource(group: string, plural: string): Found | undefined {
  const [found, setFound] = useState<Found>();
  useEffect(() => {
    allResources().then(
      (all) => {
        const resource = all.find((each) => each.group === group && each.plural === plural);
        setFound(resource ? { resource } : { error: new Error("The cluster serves no such kind any more.") });
      },
      (error: unknown) => setFound({ error }),
    );
  }, [group, plural]);
  return found;
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
      <Head resource={resource} place={place} object={object} tabs={tabs} tab={tab} />
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

interface HeadProps {
  readonly resource: Resource;
  readonly place: Place;
  readonly object: KubeObject | undefined;
  readonly tabs: readonly string[];
  /** The one that is open. */
  readonly tab: string;
}

function Head({ resource, place, object, tabs, tab }: HeadProps) {
  const { name, namespace } = place;
  const path = objectPath(resource, place);
  const isNode = resource.group === "" && resource.plural === "nodes";
  return (
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
  );
}
