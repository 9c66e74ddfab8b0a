import { type RefObject, render } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { currentToken, onSignOut, signOut } from "./api/session.ts";
import { Icon, type IconName, Logo } from "./parts/icons.tsx";
import { FilterContext, NamespaceChoice, rememberedNamespace } from "./parts/namespace.tsx";
import { Notes } from "./parts/notes.tsx";
import { type Route, useRoute } from "./route.ts";
import { Create } from "./views/create.tsx";
import { Events } from "./views/events.tsx";
import { Fleet } from "./views/fleet.tsx";
import { isWorkload, Kinds, List } from "./views/lists.tsx";
import { ObjectView } from "./views/object.tsx";
import { SignIn, whoIs } from "./views/sign-in.tsx";

const places: readonly {
  readonly name: string;
  readonly icon: IconName;
  readonly link: string;
  readonly is: (route: Route) => boolean;
}[] = [
  { name: "Fleet", icon: "fleet", link: "#/fleet", is: (route) => route.view === "fleet" || isOf(route, "nodes") },
  {
    name: "Workloads",
    icon: "workloads",
    link: "#/list/apps/v1/deployments",
    is: (route) => (route.view === "list" || route.view === "object") && isWorkload(route),
  },
  { name: "Pods", icon: "pods", link: "#/list/core/v1/pods", is: (route) => isOf(route, "pods") },
  { name: "Events", icon: "events", link: "#/events", is: ({ view }) => view === "events" },
  { name: "All kinds", icon: "kinds", link: "#/kinds", is: ({ view }) => view === "kinds" },
  { name: "Create", icon: "create", link: "#/create", is: ({ view }) => view === "create" },
];

const isOf = (route: Route, plural: string): boolean =>
  (route.view === "list" || route.view === "object") && route.group === "" && route.plural === plural;

function App() {
  const [signedIn, setSignedIn] = useState(currentToken() !== undefined);
  const [reason, setReason] = useState<string>();
  useEffect(
    () =>
      onSignOut((why) => {
        setReason(why);
        setSignedIn(false);
      }),
    [],
  );
  return signedIn ? <Frame /> : <SignIn reason={reason} done={() => setSignedIn(true)} />;
}

function Frame() {
  const route = useRoute();
  const [namespace, setNamespace] = useState(rememberedNamespace());
  const [search, setSearch] = useState("");
  const [user, setUser] = useState("");
  const searchField = useRef<HTMLInputElement>(null);
  const content = useRef<HTMLElement>(null);
  useEffect(() => void whoIs().then(setUser, () => undefined), []);
  useSlash(searchField);
  return (
    <div class="frame">
      <button type="button" class="skip" onClick={() => content.current?.focus()}>
        Skip to the content
      </button>
      <header class="bar">
        <a class="brand" href="#/fleet">
          <Logo /> <span>Bramble</span>
        </a>
        <NamespaceChoice value={namespace} choose={setNamespace} />
        <label class="field inline search">
          <span class="hidden">Search</span>
          <input
            ref={searchField}
            type="search"
            placeholder="Search  ( / )"
            title="By name, by what a column shows, or by a label: app=web"
            value={search}
            onInput={(event) => setSearch(event.currentTarget.value)}
          />
        </label>
        <span class="faint one-line who" title={user}>
          {user.replace(/^system:serviceaccount:/, "")}
        </span>
        <ThemeButton />
        <button type="button" class="icon-button" onClick={() => signOut()} aria-label="Sign out" title="Sign out">
          <Icon name="out" />
        </button>
      </header>
      <nav class="side" aria-label="Main">
        {places.map(({ name, icon, link, is }) => (
          <a key={name} href={link} aria-current={is(route) ? "page" : undefined}>
            <Icon name={icon} /> <span>{name}</span>
          </a>
        ))}
      </nav>
      <FilterContext.Provider value={{ namespace, search }}>
        <main ref={content} tabIndex={-1}>
          <View route={route} />
        </main>
      </FilterContext.Provider>
      <Notes />
    </div>
  );
}

/** A slash leads to the search field, but where somebody writes. */
function useSlash(field: RefObject<HTMLInputElement | null>): void {
  useEffect(() => {
    const focus = (event: KeyboardEvent): void => {
      const isTyping =
        event.target instanceof Element && event.target.closest("input, textarea, select, .terminal") !== null;
      if (event.key !== "/" || isTyping || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      field.current?.focus();
    };
    addEventListener("keydown", focus);
    return () => removeEventListener("keydown", focus);
  }, [field]);
}

function View({ route }: { readonly route: Route }) {
  switch (route.view) {
    case "fleet":
      return <Fleet />;
    case "events":
      return <Events />;
    case "kinds":
      return <Kinds />;
    case "create":
      return <Create />;
    case "list":
      return <List {...route} />;
    case "object":
      return <ObjectView key={`${route.group}/${route.plural}`} place={route} />;
  }
}

const themeKey = "bramble.theme";

function ThemeButton() {
  const [theme, setTheme] = useState(currentTheme());
  const next = theme === "dark" ? "light" : "dark";
  const change = (): void => {
    localStorage.setItem(themeKey, next);
    document.documentElement.dataset["theme"] = next;
    setTheme(next);
  };
  return (
    <button
      type="button"
      class="icon-button"
      onClick={change}
      aria-label={`Use the ${next} theme`}
      title={`Use the ${next} theme`}
    >
      <Icon name={theme === "dark" ? "sun" : "moon"} />
    </button>
  );
}

function currentTheme(): "light" | "dark" {
  const chosen = localStorage.getItem(themeKey);
  if (chosen === "light" || chosen === "dark") return chosen;
  return matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
}

document.documentElement.dataset["theme"] = currentTheme();
render(<App />, document.getElementById("app") as HTMLElement);
