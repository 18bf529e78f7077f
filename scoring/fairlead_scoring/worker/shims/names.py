"""Which module has which name, and which of our modules it comes from. `absent`: importable, and says so when it is used."""

from __future__ import annotations

from typing import Dict

VERSION = "1.61.0+fairlead"  # of the SDK whose behaviour was copied

ALIASES = {"sklearn.externals.joblib": "joblib"}

_EXCEPTIONS = (
    "ActivityFailedException AuthenticationException AzureMLAggregatedException AzureMLException ComputeTargetException DatasetTimestampMissingError"
    " DiscoveryUrlNotFoundException ExperimentExecutionException ModelNotFoundException ModelPathNotFoundException ParallelRunException"
    " ProjectSystemException RunConfigurationException RunEnvironmentException ServiceException SnapshotException TrainingException"
    " UserErrorException WebserviceException WorkspaceException"
)
_CORE = (
    "ComputeTarget ContainerRegistry Dataset Datastore Environment Experiment Image Keyvault LinkedService PrivateEndPoint PrivateEndPointConfig"
    " RunConfiguration ScriptRun ScriptRunConfig Webservice Workspace"
)
_AUTHENTICATION = (
    "AbstractAuthentication ArmTokenAuthentication AzureCliAuthentication AzureMLTokenAuthentication InteractiveLoginAuthentication MsiAuthentication"
    " ServicePrincipalAuthentication TokenAuthentication"
)
_WEBSERVICE = "AciWebservice AksEndpoint AksWebservice LocalWebservice Webservice"
_COMPUTE = "AksCompute AmlCompute ComputeInstance ComputeTarget DatabricksCompute KubernetesCompute RemoteCompute"
_DATA = "DataType DatacacheStore FileDataset OutputFileDatasetConfig TabularDataset"

NAMES: Dict[str, Dict[str, str]] = {
    "azureml.core": {"model": "Model", "run": "Run get_run", "absent": _CORE},
    "azureml.core.authentication": {"absent": _AUTHENTICATION},
    "azureml.core.compute": {"absent": _COMPUTE},
    "azureml.core.compute_target": {"absent": "ComputeTarget", "exceptions": "ComputeTargetException"},
    "azureml.core.conda_dependencies": {"absent": "CondaDependencies"},
    "azureml.core.container_registry": {"absent": "ContainerRegistry"},
    "azureml.core.dataset": {"absent": "Dataset"},
    "azureml.core.datastore": {"absent": "Datastore"},
    "azureml.core.environment": {"absent": "CondaDependencies Environment"},
    "azureml.core.experiment": {"absent": "Experiment"},
    "azureml.core.image": {"absent": "ContainerImage Image"},
    "azureml.core.keyvault": {"absent": "Keyvault"},
    "azureml.core.model": {"model": "Model", "absent": "InferenceConfig ModelPackage"},
    "azureml.core.resource_configuration": {"absent": "ResourceConfiguration"},
    "azureml.core.run": {"run": "Run _OfflineRun get_run"},
    "azureml.core.runconfig": {"absent": "CondaDependencies DataReferenceConfiguration RunConfiguration"},
    "azureml.core.script_run_config": {"absent": "ScriptRunConfig"},
    "azureml.core.webservice": {"absent": _WEBSERVICE},
    "azureml.core.webservice.webservice": {"absent": "Webservice", "exceptions": "WebserviceException"},
    "azureml.core.workspace": {"absent": "Workspace"},
    "azureml.data": {"absent": _DATA},
    "azureml.data.dataset_factory": {"absent": "DataType FileDatasetFactory TabularDatasetFactory"},
    "azureml.data.datapath": {"absent": "DataPath"},
    "azureml.data.file_dataset": {"absent": "FileDataset"},
    "azureml.data.tabular_dataset": {"absent": "TabularDataset"},
    "azureml.exceptions": {"exceptions": _EXCEPTIONS},
    "azureml._common.exceptions": {"exceptions": "AzureMLAggregatedException AzureMLException"},
    # The server's own request and response.
    "azureml.contrib.services.aml_request": {"http": "AMLRequest rawhttp"},
    "azureml.contrib.services.aml_response": {"http": "AMLResponse"},
    "azureml_inference_server_http.api.aml_request": {"http": "AMLRequest rawhttp"},
    "azureml_inference_server_http.api.aml_response": {"http": "AMLResponse"},
    # Data collection.
    "azure.ai.mlmonitoring": {"collector": "Collector"},
    "azure.ai.mlmonitoring.context": {"collector": "BasicCorrelationContext CorrelationContext get_context"},
    "azureml.ai.monitoring": {"collector": "Collector"},
    "azureml.ai.monitoring.collector": {"collector": "Collector"},
    "azureml.ai.monitoring.context": {"collector": "BasicCorrelationContext CorrelationContext get_context"},
    "azureml.monitoring": {"model_data": "ModelDataCollector"},
    "azureml.monitoring.modeldatacollector": {"model_data": "ModelDataCollector"},
    # Batch, and the Workbench of 2017.
    "azureml_user.parallel_run": {"parallel_run": "EntryScript"},
    "azureml.api": {},
    "azureml.api.realtime.services": {"workbench": "generate_schema"},
    "azureml.api.schema.dataTypes": {"workbench": "DataTypes"},
    "azureml.api.schema.sampleDefinition": {"workbench": "SampleDefinition"},
    "azureml.api.schema.schemaUtil": {"workbench": "generate_schema"},
    "azureml.datacollector": {"model_data": "ModelDataCollector"},
    "azureml.logging": {"run": "get_azureml_logger"},
}
