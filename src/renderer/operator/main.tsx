// Starts the operator window: link, store, first render. Knows nothing else.
import "../csp.ts";
import "./operator.css";
import "./plan/plan.css";
import { createRoot } from "react-dom/client";
import { App, Catcher, RedImageFilter } from "./App.tsx";
import { connectWindow } from "../client.ts";
import { createImageKeeper, ImagesContext } from "./images.ts";
import { createStore, feedStore, StoreContext } from "./store.ts";
import { restoreTheme } from "./draw/palette.ts";

restoreTheme();
const root = document.querySelector("#root");
if (root === null) throw new Error("expected the element #root in index.html");
const client = connectWindow();
const store = createStore();
feedStore(store, client, () => performance.now());
createRoot(root).render(
  <Catcher>
    <RedImageFilter />
    <StoreContext value={store}>
      <ImagesContext value={createImageKeeper(client)}>
        <App client={client} />
      </ImagesContext>
    </StoreContext>
  </Catcher>,
);
