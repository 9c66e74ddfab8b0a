import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";

export interface TableColumn<T> {
  readonly id: string;
  readonly title: string;
  /** `main` stays on a phone's first line, `sub` on its second, `wide` shows on wide screens only. */
  readonly place: "main" | "sub" | "wide";
  readonly align?: "end" | undefined;
  cell(item: T): ComponentChildren;
  /** What to sort by; a column without cannot be sorted. */
  sort?(item: T): string | number;
}

export interface VirtualTableProps<T> {
  readonly label: string;
  readonly columns: readonly TableColumn<T>[];
  readonly items: readonly T[];
  keyOf(item: T): string;
}

const phoneWidth_px = 720;
const rowHeight_px = { phone: 80, desk: 44 } as const;
/** Rows above and below what is seen. */
const spare = 10;

/** A table of any length: only the rows that are seen are in the page. Sorted by a press on a heading. */
export function VirtualTable<T>({ label, columns, items, keyOf }: VirtualTableProps<T>) {
  const scroller = useRef<HTMLElement>(null);
  const [view, setView] = useState({ top: 0, height: 600, phone: innerWidth < phoneWidth_px });
  const [order, setOrder] = useState<{ readonly id: string; readonly down: boolean }>();
  useEffect(() => {
    const element = scroller.current;
    if (!element) return;
    const look = (): void =>
      setView({ top: element.scrollTop, height: element.clientHeight, phone: innerWidth < phoneWidth_px });
    const observer = new ResizeObserver(look);
    observer.observe(element);
    element.addEventListener("scroll", look, { passive: true });
    return () => {
      observer.disconnect();
      element.removeEventListener("scroll", look);
    };
  }, []);
  const sorted = sortedBy(items, columns, order);
  const height = view.phone ? rowHeight_px.phone : rowHeight_px.desk;
  const first = Math.max(0, Math.floor(view.top / height) - spare);
  const last = Math.min(sorted.length, Math.ceil((view.top + view.height) / height) + spare);
  const press = (id: string): void => setOrder((now) => ({ id, down: now?.id === id ? !now.down : false }));
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keyboard.
    <section class="table-scroll" ref={scroller} tabIndex={0} aria-label={label}>
      <table aria-rowcount={sorted.length + 1} aria-label={label}>
        <thead>
          <tr>
            {columns.map(({ id, title, place, align, sort }) => (
              <th
                key={id}
                scope="col"
                class={`${place} ${align ?? ""}`}
                aria-sort={order?.id === id ? (order.down ? "descending" : "ascending") : undefined}
              >
                {sort ? (
                  <button type="button" class="heading" onClick={() => press(id)}>
                    {title}
                    <span aria-hidden="true">{order?.id === id ? (order.down ? " ↓" : " ↑") : ""}</span>
                  </button>
                ) : (
                  <span class="heading">{title}</span>
                )}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {first > 0 && <tr class="spacer" style={{ height: `${first * height}px` }} />}
          {sorted.slice(first, last).map((item, index) => (
            <tr key={keyOf(item)} aria-rowindex={first + index + 2} style={{ height: `${height}px` }}>
              {columns.map(({ id, title, place, align, cell }) => (
                <td key={id} class={`${place} ${align ?? ""}`} data-title={title}>
                  {cell(item)}
                </td>
              ))}
            </tr>
          ))}
          {last < sorted.length && <tr class="spacer" style={{ height: `${(sorted.length - last) * height}px` }} />}
        </tbody>
      </table>
    </section>
  );
}

function sortedBy<T>(
  items: readonly T[],
  columns: readonly TableColumn<T>[],
  order: { readonly id: string; readonly down: boolean } | undefined,
): readonly T[] {
  const key = order && columns.find(({ id }) => id === order.id)?.sort;
  if (!order || !key) return items;
  const sign = order.down ? -1 : 1;
  return [...items].sort((a, b) => {
    const [x, y] = [key(a), key(b)];
    if (typeof x === "number" && typeof y === "number") return sign * (x - y);
    return sign * String(x).localeCompare(String(y), undefined, { numeric: true });
  });
}
