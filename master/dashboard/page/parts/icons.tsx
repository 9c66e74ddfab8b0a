/** Line icons on a grid of 24, drawn with the text's colour. They only go with words, so they are hidden from readers. */
const shapes = {
  fleet: "M4 5h16v6H4zM4 13h16v6H4zM8 8h.01M8 16h.01",
  workloads: "M12 3 4 7.500v9L12 21l8-4.500v-9zM4 7.500l8 4.500 8-4.500M12 12v9",
  pods: "M12 3l7.800 4.500v9L12 21l-7.800-4.500v-9z",
  events: "M6 16V11a6 6 0 1 1 12 0v5l2 2H4zM10 21h4",
  kinds: "M4 4h7v7H4zM13 4h7v7h-7zM4 13h7v7H4zM13 13h7v7h-7z",
  create: "M12 5v14M5 12h14",
  search: "M11 4a7 7 0 1 0 0 14 7 7 0 0 0 0-14zM20 20l-4-4",
  sun: "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM12 2v2M12 20v2M4.900 4.900l1.400 1.400M17.700 17.700l1.400 1.400M2 12h2M20 12h2M4.900 19.100l1.400-1.400M17.700 6.300l1.400-1.400",
  moon: "M20 14.500A8 8 0 0 1 9.500 4a8 8 0 1 0 10.500 10.500z",
  out: "M14 4h5v16h-5M10 8l-4 4 4 4M6 12h9",
  close: "M6 6l12 12M18 6 6 18",
  alert: "M12 4 2.500 20h19zM12 10v4M12 17h.01",
  heat: "M10 13.500V5a2 2 0 1 1 4 0v8.500a4 4 0 1 1-4 0z",
  bolt: "M13 3 5 14h6l-1 7 8-11h-6z",
} as const;

export type IconName = keyof typeof shapes;

export function Icon({ name }: { readonly name: IconName }) {
  return (
    <svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
      <path d={shapes[name]} />
    </svg>
  );
}

/** The berry of the sign-in page and the bar. */
export function Logo() {
  return <img class="logo" src="icon.svg" alt="" width="28" height="28" />;
}
