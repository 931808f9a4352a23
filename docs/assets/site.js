// What scrolls can be reached by keyboard. document$ also tells of pages that are loaded without a reload.
document$.subscribe(() => {
  for (const scrolling of document.querySelectorAll("pre > code, .tabbed-labels, .md-typeset__scrollwrap")) {
    scrolling.tabIndex = 0
  }
})
