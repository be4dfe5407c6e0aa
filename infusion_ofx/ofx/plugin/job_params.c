/* The settings of a job. infusion_ofx/ofx/table.py makes the table from the fields of Job when the
 * plug-in is built: names, ranges and defaults are said in one place for every front end. */
#include "infusion.h"
#include "job_table.h"

const JobParam job_params[] = {JOB_TABLE};
const int job_param_count = (int)(sizeof job_params / sizeof job_params[0]);
