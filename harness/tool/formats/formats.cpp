#include "tool/formats/formats.hpp"

namespace interleave {

const std::vector<Format>& formats() {
  static const std::vector<Format> table = {
      {"text", "for people", as_text},
      {"json", "all there is, see docs/grade.schema.json", as_json},
      {"junit", "XML that most services show", as_junit},
      {"github", "a job summary, and marks on the learner's lines", as_github_summary, "GITHUB_STEP_SUMMARY",
       as_github_annotations},
      {"gradescope", "results.json of Gradescope", as_gradescope},
      {"classroom50",
       "result.json of Classroom 50",
       as_classroom50,
       "",
       nullptr,
       {"ASSIGNMENT", "ASSIGNMENT_TYPE", "CLASSROOM", "COMMIT_URL", "OWNER", "RELEASE_URL", "REVIEW_URL",
        "SUBMISSION_TAG"}},
      {"classroom", "a runner's result for GitHub Classroom's reporter, in base64", as_classroom},
  };
  return table;
}

}  // namespace interleave
