import { useEffect, useRef, useState } from "preact/hooks";
import { type FeedQuery, type FeedState, followObjects, followTable, type Row } from "../api/feed.ts";
import type { KubeObject, Resource } from "../api/objects.ts";
import { followUsage, type Usage } from "../api/usage.ts";

const loading = { phase: "loading", items: [], columns: [], truncated: false } as const;

/** The server's table of a resource, live. */
export function useTable(resource: Resource, query: FeedQuery): FeedState<Row> {
  const [state, setState] = useState<FeedState<Row>>(loading);
  const key = keyOf(resource, query);
  useEffect(() => {
    setState(loading);
    return followTable(resource, query, setState);
  }, [key]);
  return state;
}

/** Whole objects, live. */
export function useObjects<T extends KubeObject>(resource: Resource, query: FeedQuery): FeedState<T> {
  const [state, setState] = useState<FeedState<T>>(loading);
  const key = keyOf(resource, query);
  useEffect(() => {
    setState(loading);
    return followObjects<T>(resource, query, setState);
  }, [key]);
  return state;
}

const keyOf = ({ group, version, plural }: Resource, query: FeedQuery): string =>
  JSON.stringify([group, version, plural, query.namespace, query.labelSelector, query.fieldSelector]);

/** Usage below metrics.k8s.io; undefined before the first answer and where there is none. An empty path asks nothing. */
export function useUsage(path: string): Usage | undefined {
  const [usage, setUsage] = useState<Usage>();
  useEffect(() => {
    setUsage(undefined);
    return path === "" ? undefined : followUsage(path, setUsage);
  }, [path]);
  return usage;
}

/** Calls `work` now and every so often while the page is seen. */
export function useEvery(period_ms: number, work: () => void, key = ""): void {
  const latest = useRef(work);
  latest.current = work;
  useEffect(() => {
    latest.current();
    const timer = setInterval(() => {
      if (!document.hidden) latest.current();
    }, period_ms);
    return () => clearInterval(timer);
  }, [period_ms, key]);
}

/** Draws again now and then, so that ages stay true. */
export function useClock(period_ms = 10_000): number {
  const [now_ms, setNow] = useState(Date.now());
  useEvery(period_ms, () => setNow(Date.now()));
  return now_ms;
}

/** The heading of the page and of the browser's tab. */
export function useTitle(title: string): void {
  useEffect(() => {
    document.title = `${title} · Bramble`;
  }, [title]);
}
