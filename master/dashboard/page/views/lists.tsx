import { useEffect, useState } from "preact/hooks";
import {
  allResources,
  cronJobs,
  daemonSets,
  deployments,
  jobs,
  pods,
  type Resource,
  statefulSets,
} from "../api/objects.ts";
import { useTable, useTitle, useUsage } from "../parts/hooks.ts";
import { useFilter } from "../parts/namespace.tsx";
import { Empty, Fault } from "../parts/notes.tsx";
import { ResourceTable } from "../parts/resource-table.tsx";
import { listLink } from "../route.ts";

export const workloads: readonly Resource[] = [deployments, statefulSets, daemonSets, jobs, cronJobs];

export const isWorkload = ({ group, plural }: Pick<Resource, "group" | "plural">): boolean =>
  workloads.some((each) => each.group === group && each.plural === plural);

/** Any resource as a list; workloads have tabs from one kind to the next. */
export function List({ group, version, plural }: Pick<Resource, "group" | "version" | "plural">) {
  const known = [...workloads, pods].find((each) => each.group === group && each.plural === plural);
  const [resource, setResource] = useState<Resource | undefined>(known);
  const [error, setError] = useState<unknown>();
  useEffect(() => {
    setError(undefined);
    setResource(known);
    if (known) return;
    allResources().then((all) => {
      const found = all.find((each) => each.group === group && each.plural === plural);
      if (found) setResource(found);
      else setError(new Error("The cluster serves no such kind any more."));
    }, setError);
  }, [group, plural, known]);
  useTitle(resource?.kind ?? plural);
  if (error !== undefined) return <Fault error={error} what={plural} />;
  if (!resource || resource.plural !== plural) return <p class="faint pad">Loading…</p>;
  return <Listed key={`${group}/${version}/${plural}`} resource={resource} />;
}

function Listed({ resource }: { readonly resource: Resource }) {
  const { namespace } = useFilter();
  const feed = useTable(resource, { namespace });
  const isPods = resource.group === "" && resource.plural === "pods";
  const usage = useUsage(isPods ? (namespace ? `namespaces/${namespace}/pods` : "pods") : "");
  const ofWorkloads = isWorkload(resource);
  return (
    <>
      <header class="page-head">
        <h1>{ofWorkloads ? "Workloads" : isPods ? "Pods" : resource.kind}</h1>
        <span class="faint number">{feed.phase === "loading" ? "" : feed.items.length}</span>
        {ofWorkloads && (
          <nav class="tabs" aria-label="Kinds of workloads">
            {workloads.map((each) => (
              <a
                key={each.plural}
                href={listLink(each)}
                aria-current={each.plural === resource.plural ? "page" : undefined}
              >
                {each.kind}s
              </a>
            ))}
          </nav>
        )}
      </header>
      <ResourceTable
        resource={resource}
        feed={feed}
        usage={isPods ? usage : undefined}
        actions={ofWorkloads}
        hint={
          resource.verbs.includes("create") ? (
            <>
              <a href="#/create">Create one</a> from YAML, or with <code>kubectl apply</code>.
            </>
          ) : undefined
        }
      />
    </>
  );
}

/** Every kind that is served. */
export function Kinds() {
  useTitle("All kinds");
  const { search } = useFilter();
  const [all, setAll] = useState<readonly Resource[]>();
  const [error, setError] = useState<unknown>();
  useEffect(() => void allResources().then(setAll, setError), []);
  if (error !== undefined) return <Fault error={error} what="the kinds" />;
  const wanted = search.toLowerCase();
  const shown = (all ?? []).filter(
    ({ kind, group, verbs }) => verbs.includes("list") && `${kind} ${group}`.toLowerCase().includes(wanted),
  );
  const groups = Map.groupBy(shown, ({ group }) => group);
  return (
    <>
      <header class="page-head">
        <h1>All kinds</h1>
      </header>
      <div class="scroll">
        {all && shown.length === 0 && <Empty title={`No kind matches “${search}”`} />}
        {[...groups].map(([group, resources]) => (
          <section key={group} class="kinds">
            <h2>{group === "" ? "Core" : group}</h2>
            <ul>
              {resources.map((each) => (
                <li key={each.plural}>
                  <a href={listLink(each)}>{each.kind}</a>
                </li>
              ))}
            </ul>
          </section>
        ))}
      </div>
    </>
  );
}
